//! Where onramp keeps its own things: the XDG base directories.

use std::path::PathBuf;

use etcetera::BaseStrategy;

/// onramp's directories of one user. Tests make their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The user's settings file (`$XDG_CONFIG_HOME/onramp/settings.toml`, or `ONRAMP_CONFIG`).
    pub settings: PathBuf,
    /// What can be fetched again: mirrors of repositories (`$XDG_CACHE_HOME/onramp`).
    pub cache: PathBuf,
    /// What must last: the playground (`$XDG_DATA_HOME/onramp`).
    pub data: PathBuf,
    /// What a machine remembers: locks, the sandbox key, test results (`$XDG_STATE_HOME/onramp`).
    pub state: PathBuf,
}

/// No home directory could be found.
#[derive(Debug, thiserror::Error)]
#[error("no home directory: HOME is not set")]
pub struct NoHome;

impl crate::error::Fault for NoHome {
    fn class(&self) -> crate::error::Class {
        crate::error::Class::Env
    }

    fn next(&self) -> Vec<String> {
        vec!["export HOME=/path/to/your/home".to_owned()]
    }
}

impl Paths {
    /// The directories of the user who runs this process.
    pub fn of_user() -> Result<Self, NoHome> {
        let base = etcetera::choose_base_strategy().map_err(|_| NoHome)?;
        let settings = match std::env::var_os("ONRAMP_CONFIG") {
            Some(file) if !file.is_empty() => PathBuf::from(file),
            _ => base.config_dir().join("onramp/settings.toml"),
        };
        Ok(Self {
            settings,
            cache: base.cache_dir().join("onramp"),
            data: base.data_dir().join("onramp"),
            state: base.state_dir().unwrap_or_else(|| base.data_dir()).join("onramp"),
        })
    }
}
