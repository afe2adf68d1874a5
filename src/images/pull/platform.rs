//! Which of an image's platforms is pulled, and whether this machine runs it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::reference::Digest;

/// Where the kernel lists what it can run through emulators.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// The platform of an image that is pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `linux/amd64`
    pub name: String,
    /// Its manifest.
    pub digest: Digest,
    /// How the engine runs it.
    pub runs: Runs,
}

/// How an engine runs a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// By itself.
    Natively,
    /// Through an emulator, slowly.
    Emulated,
    /// Not at all, as far as can be seen from here.
    No,
}

/// The platform that was asked for, else the engine's own, else the first one that it can emulate.
pub fn choose(
    there: &BTreeMap<String, Digest>,
    asked: Option<&str>,
    native: &str,
    emulates: impl Fn(&str) -> bool,
) -> Option<Choice> {
    let runs = |name: &str| match () {
        () if covers(native, name) => Runs::Natively,
        () if emulates(name) => Runs::Emulated,
        () => Runs::No,
    };
    let choice =
        |(name, digest): (&String, &Digest)| Choice { name: name.clone(), digest: digest.clone(), runs: runs(name) };
    let find = |wanted: &str| {
        let exact = there.get_key_value(wanted);
        exact.or_else(|| there.iter().find(|(name, _)| covers(wanted, name))).map(choice)
    };
    match asked {
        Some(asked) => find(asked),
        None => find(native).or_else(|| there.iter().map(choice).find(|choice| choice.runs == Runs::Emulated)),
    }
}

/// Whether an image of this platform is what was asked for: a variant is asked for only where it is named.
pub fn covers(asked: &str, name: &str) -> bool {
    name.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether what an engine holds (it tells no variant) may be what was asked for.
pub fn same_machine(asked: &str, held: &str) -> bool {
    asked.split('/').take(2).eq(held.split('/').take(2))
}

/// Whether this machine's kernel has an emulator for a platform.
pub fn emulates(platform: &str) -> bool {
    emulates_in(Path::new(BINFMT), platform)
}

fn emulates_in(binfmt: &Path, platform: &str) -> bool {
    let mut parts = platform.split('/');
    let (Some("linux"), Some(architecture)) = (parts.next(), parts.next()) else { return false };
    let emulator = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        "mips64le" => "mips64el",
        other if other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => other,
        _ => return false,
    };
    let state = crate::files::read_text(&binfmt.join(format!("qemu-{emulator}")), 4096);
    state.is_ok_and(|text| text.starts_with("enabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(names: &[&str]) -> BTreeMap<String, Digest> {
        names.iter().map(|name| ((*name).to_owned(), Digest::of(name.as_bytes()))).collect()
    }

    #[test]
    fn the_machines_own_platform_comes_before_an_emulated_one() {
        let both = there(&["linux/amd64", "linux/arm64/v8", "linux/s390x"]);
        let chosen = |there: &BTreeMap<_, _>, asked, native, emulated: &'static str| {
            choose(there, asked, native, |name| name == emulated).map(|choice| (choice.name, choice.runs))
        };
        let own = |name: &str, runs| Some((name.to_owned(), runs));
        assert_eq!(chosen(&both, None, "linux/amd64", "linux/s390x"), own("linux/amd64", Runs::Natively));
        assert_eq!(chosen(&both, None, "linux/arm64", ""), own("linux/arm64/v8", Runs::Natively));
        assert_eq!(chosen(&both, Some("linux/arm64"), "linux/amd64", ""), own("linux/arm64/v8", Runs::No));
        assert_eq!(chosen(&both, Some("linux/arm"), "linux/amd64", ""), None);
        let foreign = there(&["linux/arm64/v8"]);
        assert_eq!(chosen(&foreign, None, "linux/amd64", ""), None);
        assert_eq!(chosen(&foreign, None, "linux/amd64", "linux/arm64/v8"), own("linux/arm64/v8", Runs::Emulated));
    }

    #[test]
    fn the_kernel_says_what_it_emulates() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("qemu-aarch64"), "enabled\ninterpreter /usr/bin/qemu\n").unwrap();
        std::fs::write(dir.path().join("qemu-s390x"), "disabled\n").unwrap();
        assert!(emulates_in(dir.path(), "linux/arm64/v8"));
        for other in ["linux/s390x", "linux/amd64", "windows/arm64", "linux/../x", "linux", ""] {
            assert!(!emulates_in(dir.path(), other), "{other}");
        }
    }
}
