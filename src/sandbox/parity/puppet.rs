//! What Puppet says of a service: the environment's own code, applied to the image that the service runs, and nothing changed.
//!
//! Puppet runs in a container of its own, without a network, which goes again; the sandbox is not touched. Its exit code tells
//! nothing of what it would change (with `--noop` nothing has changed), so it is its report that counts.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::observe::Observed;
use super::{Fact, Standing};
use crate::engine::{self, ContainerSpec, Engine, Root};
use crate::error;
use crate::project::service::Puppet;
use crate::sandbox::plan::sandbox_labels;
use crate::sandbox::{Error, ServiceId, View, fetch};
use crate::task::blocking;

/// Where it all lies in the container, below the root.
const PLACE: &str = "onramp-puppet";
/// What writes the report that is read here.
const REPORT: &[u8] = include_bytes!("puppet.rb");
/// How much code an environment may have, and how much may be told of it, in bytes.
const CODE: u64 = 32 * 1024 * 1024;
const TOLD: u64 = 8 * 1024 * 1024;
/// How long it may take.
const LIMIT: Duration = Duration::from_mins(5);
/// Where Puppet is: in packages of its maker, or of a distribution.
const PATHS: &str = "/opt/puppetlabs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a resource comes to.
#[derive(Debug, Deserialize)]
struct Resource {
    /// `File[/etc/motd]`.
    name: String,
    /// Whether it could not be looked at.
    failed: bool,
    /// Whether it was not looked at, because of another one.
    skipped: bool,
    /// Whether it would be changed.
    differs: bool,
    /// Whether it is not there at all.
    absent: bool,
    /// What would be changed, or failed.
    why: String,
}

impl Resource {
    fn fact(&self) -> Fact {
        let (standing, why) = match self {
            Self { failed: true, why, .. } => (Standing::Unknown, why.as_str()),
            Self { skipped: true, .. } => (Standing::Unknown, "what it depends on could not be looked at"),
            Self { differs: true, absent: true, why, .. } => (Standing::Missing, why.as_str()),
            Self { differs: true, why, .. } => (Standing::Overridden, why.as_str()),
            Self { .. } => (Standing::Equal, ""),
        };
        let why = why.trim_start_matches(": ").trim_end_matches(" (noop)");
        Fact::new(&format!("puppet.{}", self.name), standing, None, why)
    }
}

/// The facts of every service whose environment declares Puppet code; where it is not `asked`, that nobody asked.
pub async fn facts(
    engine: &Engine,
    view: &View,
    observed: &BTreeMap<ServiceId, Observed>,
    asked: bool,
) -> Result<BTreeMap<ServiceId, Vec<Fact>>, Error> {
    let mut all = BTreeMap::new();
    for member in &view.members {
        let Some(puppet) = member.declared.as_ref().and_then(|declared| declared.puppet.as_ref()) else { continue };
        let whole = |standing, why: &str| vec![Fact::new("puppet", standing, None, why)];
        let facts = match observed.get(&member.id) {
            None => whole(Standing::Missing, "the service does not run"),
            Some(_) if !asked => whole(Standing::Unknown, "`onramp parity` asks Puppet"),
            Some(here) => match look(engine, view, &member.id, &here.image_id, puppet).await {
                Ok(Ok(resources)) => resources.iter().map(Resource::fact).collect(),
                Ok(Err(why)) => whole(Standing::Unknown, &why),
                // Whoever asks has other results, which it must not cost.
                Err(error) => whole(Standing::Unknown, &error::chain(&error)),
            },
        };
        all.insert(member.id.clone(), facts);
    }
    Ok(all)
}

/// Lets Puppet look at an image; why it could not.
async fn look(
    engine: &Engine,
    view: &View,
    service: &ServiceId,
    image: &str,
    puppet: &Puppet,
) -> Result<Result<Vec<Resource>, String>, Error> {
    // Puppet's names of environments have no dashes.
    let environment = view.environment.environment.as_str().replace('-', "_");
    let Some(tar) = code(view, &environment, puppet).await? else {
        return Ok(Err(format!("`{}` is not in the state repository", puppet.code)));
    };
    let at = |place: &str| format!("/{PLACE}/{place}");
    let mut command: Vec<String> = ["apply", "--noop", "--color=false", "--reports=onramp"].map(str::to_owned).into();
    for (option, place) in [
        ("--libdir", "lib"),
        ("--vardir", "var"),
        ("--confdir", "conf"),
        ("--rundir", "run"),
        ("--logdir", "log"),
        ("--environmentpath", "environments"),
    ] {
        command.extend([option.to_owned(), at(place)]);
    }
    command.extend(["--environment".to_owned(), environment.clone()]);
    command.push(at(&format!("environments/{environment}/{}", puppet.manifest)));
    let spec = ContainerSpec {
        // As a container of the sandbox that is none of its services it goes with the next `up` or `down`. Whoever else asks
        // at the same time has one of their own.
        name: view.id.carrier(&format!("puppet {service} {}", std::process::id())),
        image: image.to_owned(),
        // The image may have a program of its own that would take Puppet for its arguments.
        entrypoint: Some(vec!["puppet".to_owned()]),
        command: Some(command),
        user: Some("0".to_owned()),
        env: [("PATH", PATHS), ("LANG", "C.UTF-8")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        labels: sandbox_labels(&view.id).collect(),
        network: "none".to_owned(),
        // The report is read from it once it has ended.
        root: Root::Writable,
        ..ContainerSpec::default()
    };
    engine.remove_container(&spec.name).await?;
    engine.create_container(&spec).await?;
    let told = run(engine, &spec.name, tar).await;
    engine.remove_container(&spec.name).await?;
    told
}

async fn run(engine: &Engine, container: &str, tar: Vec<u8>) -> Result<Result<Vec<Resource>, String>, Error> {
    engine.put_files(container, "/", tar).await?;
    match engine.start_container(container).await {
        Err(engine::Error::Refused { status: 400, .. }) => return Ok(Err("its image has no puppet".to_owned())),
        started => started?,
    }
    let Ok(ended) = timeout(LIMIT, engine.wait_for_exit(container)).await else {
        return Ok(Err(format!("puppet had not ended after {} s", LIMIT.as_secs())));
    };
    let ended = ended?;
    let report = fetch::fetch(engine, container, &format!("/{PLACE}/var/onramp.json"), TOLD).await?;
    let Ok(report) = report else {
        let words = engine.last_words(container, 50).await;
        let error = words.iter().find_map(|line| line.strip_prefix("Error: "));
        let code = || format!("puppet ended with exit code {} and reported nothing", ended.exit_code);
        return Ok(Err(error.map_or_else(code, |error| format!("puppet: {error}"))));
    };
    Ok(blocking(move || read(report)).await)
}

/// The resources of a report, in a tar as the engine sends it.
fn read(tar: impl Read) -> Result<Vec<Resource>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("what puppet reported cannot be read: {error}");
    let mut archive = tar::Archive::new(tar);
    let mut entries = archive.entries().map_err(|error| broken(&error))?;
    let entry = entries.next().ok_or_else(|| broken(&"it is empty"))?.map_err(|error| broken(&error))?;
    let mut text = String::new();
    entry.take(TOLD).read_to_string(&mut text).map_err(|error| broken(&error))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| broken(&error))).collect()
}

/// The environment's code at the commit that the sandbox is compared with, as a tar; none where there is none.
async fn code(view: &View, environment: &str, puppet: &Puppet) -> Result<Option<Vec<u8>>, Error> {
    let (Some(state), Some(commit)) = (view.state.clone(), view.environment.commit.clone()) else { return Ok(None) };
    let directory = puppet.code.clone();
    let files = blocking(move || state.directory(&commit, &directory, CODE)).await?;
    if files.is_empty() {
        return Ok(None);
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: String, mode: u32, contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, format!("{PLACE}/{path}"), contents)
    };
    let packed = std::iter::once(add("lib/puppet/reports/onramp.rb".to_owned(), 0o644, REPORT)).chain(
        // A link would lead to what is in the image.
        files.iter().filter(|(_, mode, _)| mode & 0o170_000 == 0o100_000).map(|(path, mode, contents)| {
            let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
            add(format!("environments/{environment}/{path}"), mode, contents)
        }),
    );
    let _: Vec<()> =
        packed.collect::<Result<_, _>>().map_err(crate::files::FileError::io("pack", puppet.code.as_ref()))?;
    Ok(Some(tar.into_inner().expect("it is written to memory")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(lines: &str) -> Result<Vec<(String, Standing, String)>, String> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(lines.len() as u64);
        tar.append_data(&mut header, "onramp.json", lines.as_bytes()).unwrap();
        let resources = read(&tar.into_inner().unwrap()[..])?;
        Ok(resources.iter().map(Resource::fact).map(|fact| (fact.fact, fact.standing, fact.why)).collect())
    }

    #[test]
    fn a_resource_stands_as_puppet_says() {
        // As Puppet 7.23 wrote it.
        let told = facts_of(concat!(
            r#"{"name":"File[/etc/same]","failed":false,"skipped":false,"differs":false,"absent":false,"why":""}"#,
            "\n",
            r#"{"name":"File[/etc/other]","failed":false,"skipped":false,"differs":true,"absent":true,"why":"ensure: current_value 'absent', should be 'file' (noop)"}"#,
            "\n",
            r#"{"name":"Exec[touch]","failed":false,"skipped":false,"differs":true,"absent":false,"why":"returns: current_value 'notrun', should be ['0'] (noop)"}"#,
            "\n",
            r#"{"name":"Exec[check]","failed":true,"skipped":false,"differs":true,"absent":false,"why":": Could not find command '/x'"}"#,
            "\n",
            r#"{"name":"File[/a]","failed":false,"skipped":true,"differs":false,"absent":false,"why":""}"#,
        ));
        let expected = [
            ("puppet.File[/etc/same]", Standing::Equal, ""),
            ("puppet.File[/etc/other]", Standing::Missing, "ensure: current_value 'absent', should be 'file'"),
            ("puppet.Exec[touch]", Standing::Overridden, "returns: current_value 'notrun', should be ['0']"),
            ("puppet.Exec[check]", Standing::Unknown, "Could not find command '/x'"),
            ("puppet.File[/a]", Standing::Unknown, "what it depends on could not be looked at"),
        ];
        let expected = expected.map(|(fact, standing, why)| (fact.to_owned(), standing, why.to_owned()));
        assert_eq!(told, Ok(expected.into()));
        assert_eq!(facts_of(""), Ok(Vec::new()), "code that declares nothing");
        assert!(facts_of("[]").unwrap_err().starts_with("what puppet reported cannot be read"));
    }
}
