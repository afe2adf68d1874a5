//! Sandboxes that are as `up` makes them, or not, beside what production declares.

use super::*;
use crate::engine::{ImageDefaults, Limits};
use crate::project::Project;
use crate::sandbox::plan::EnvironmentAt;
use crate::sandbox::with::Mix;
use crate::sandbox::{SandboxId, closure};

/// A sandbox of the project `shop`.
struct Sandbox {
    view: View,
    seeds: BTreeMap<Name, Digest>,
    observed: BTreeMap<ServiceId, Observed>,
}

impl Sandbox {
    /// As `up` makes it of these services and what production declares.
    fn up(services: &str, production: &str) -> Self {
        let text = format!("schema = 1\nname = \"shop\"\n{services}");
        let manifest = manifest::parse("onramp.toml".as_ref(), &text).unwrap();
        let digest = Digest::of(b"declared");
        let production = production.replace("DIGEST", digest.as_str());
        let apps: BTreeMap<Name, BTreeMap<Name, Service>> = toml::from_str(&production).unwrap();
        let members =
            closure::resolve(&manifest, "production", &Mix::default(), &mut |app| Ok(apps.get(app).cloned())).unwrap();
        let of_shop = apps.get("shop").cloned().unwrap_or_default();
        let left_out = closure::left_out(&manifest.name, of_shop, &members);
        let seeded = members.iter().filter(|member| !member.service.seed.is_empty());
        let seeds: BTreeMap<Name, Digest> =
            seeded.map(|member| (member.id.service.clone(), Digest::of(b"seeds"))).collect();
        let observed = members.iter().map(|member| (member.id.clone(), made(member, &seeds))).collect();
        let view = View {
            id: SandboxId::new(&manifest.name, None, "/work/shop".as_ref()),
            project: Project { root: "/work/shop".into(), manifest, text },
            environment: EnvironmentAt { environment: "production".parse().unwrap(), commit: None },
            members,
            left_out,
            state: None,
            mix: Mix::default(),
            xdebug: None,
            on: None,
            router: None,
        };
        Self { view, seeds, observed }
    }

    fn container(&mut self, service: &str) -> &mut Observed {
        self.observed.get_mut(&service.parse::<ServiceId>().unwrap()).unwrap()
    }

    /// What `parity` says of facts that are not equal.
    fn told(&self) -> String {
        let parity = compare(&self.view, &self.seeds, &self.observed);
        let mut out = String::new();
        for service in &parity.services {
            for fact in service.facts.iter().filter(|fact| fact.standing != Standing::Equal) {
                let by = fact.by.as_deref().unwrap_or("-");
                let line = format!("{} {} {:?} {by} {}\n", service.service, fact.fact, fact.standing, fact.why);
                out.push_str(&line.replace(Digest::of(b"declared").short(), "DIGEST"));
            }
        }
        out
    }
}

/// The container that `up` makes of a service.
fn made(member: &Member, seeds: &BTreeMap<Name, Digest>) -> Observed {
    let service = &member.service;
    let declared = service.image.as_ref().filter(|image| image.digest().is_some());
    let image = ImageDefaults {
        command: vec!["serve".into()],
        user: String::new(),
        env: [("PATH".to_owned(), "/bin".to_owned())].into(),
    };
    let value = |value: &EnvValue| match value {
        EnvValue::Plain(text) => text.clone(),
        EnvValue::Secret(_) => "derived".to_owned(),
    };
    let set = service.env.iter().map(|(key, of)| (key.clone(), value(of)));
    Observed {
        image_id: String::new(),
        repo_digests: declared.map(|i| format!("{}@{}", i.repository(), i.digest().unwrap())).into_iter().collect(),
        platform: "linux/amd64".into(),
        command: service.command.clone().unwrap_or_else(|| image.command.clone()),
        user: service.user.clone().unwrap_or_default(),
        env: image.env.clone().into_iter().chain(set).collect(),
        image,
        ports: service.port.into_iter().collect(),
        limits: Limits {
            memory: service.limits.memory.map(Memory::bytes),
            pids: Some(service.limits.pids.map_or(4096, std::num::NonZeroU32::get)),
            cpus: service.limits.cpus.map(|cpus| cpus.thousandths().min(2000)),
        },
        processors: Some(2),
        mounts: service.data.iter().chain(service.sync.values().map(Shown::target)).cloned().collect(),
        read_only: service.read_only == Some(true),
        reaches: service.egress.iter().flatten().map(ToString::to_string).collect(),
        open: false,
        with: None,
        seed: seeds.get(&member.id.service).filter(|_| member.own).map(ToString::to_string),
    }
}

const PRODUCTION: &str = r#"
[shop.web]
image = "r.test/apps/shop@DIGEST"
port = 80
command = ["serve", "--fast"]
user = "www-data"
limits = { memory = "512 MB", pids = 200, cpus = 1.5 }
needs = ["db", "auth/api"]
platform = "linux/amd64"
replicas = 1
env = { HOST = "db", MODE = "fast", PASSWORD = { secret = "shop/db" } }
[shop.db]
image = "r.test/base/db@DIGEST"
port = 3306
data = "/var/lib/db"
[auth.api]
image = "r.test/apps/auth@DIGEST"
port = 80
"#;
const AS_DECLARED: &str = "[services.web]\n[services.db]\n";

#[test]
fn a_sandbox_of_what_is_declared_is_equal_as_far_as_anybody_can_tell() {
    let sandbox = Sandbox::up(AS_DECLARED, PRODUCTION);
    insta::assert_snapshot!(sandbox.told(), @r#"
    shop/db seed Unknown - no seed files say what its data is
    shop/db platform Unknown - linux/amd64 here, none declared
    auth/api platform Unknown - linux/amd64 here, none declared
    shop/web env.PASSWORD Unknown - a secret; this machine has its own
    "#);
    let parity = compare(&sandbox.view, &sandbox.seeds, &sandbox.observed);
    let web = parity.services.iter().find(|service| service.service.to_string() == "shop/web").unwrap();
    let facts: Vec<&str> = web.facts.iter().map(|fact| fact.fact.as_str()).collect();
    insta::assert_snapshot!(facts.join(" "), @"digest command user env.HOST env.MODE env.PASSWORD port limits.memory limits.pids limits.cpus needs.db needs.auth/api platform replicas");
    assert_eq!(parity.score.percent, Some(100));
}

#[test]
fn every_override_is_told_with_its_line() {
    let services = r#"[services.web]
build = { base = "r.test/base/php:8" }
port = 8080
command = ["serve"]
user = "root"
needs = ["mail"]
sync = { "src" = "/src" }
env = { HOST = "db2",
  EXTRA = "1", PASSWORD = "plain" }
[services.web.limits]
pids = 10
[services.db]
image = "r.test/base/db:2"
data = "/data"
sync = { "conf" = "/etc/db" }
[services.mail]
fallback = "r.test/base/mail:1"
"#;
    insta::assert_snapshot!(Sandbox::up(services, PRODUCTION).told(), @r#"
    shop/db digest Overridden onramp.toml:15 r.test/base/db:2 here
    shop/db command Unknown - the image's own, of another image
    shop/db user Unknown - the image's own, of another image
    shop/db data Overridden onramp.toml:16 /data here, /var/lib/db declared
    shop/db seed Unknown - no seed files say what its data is
    shop/db platform Unknown - linux/amd64 here, none declared
    shop/db files./etc/db Overridden onramp.toml:17 conf of the project here, none declared
    shop/mail digest Unknown onramp.toml:18 production does not declare this service
    auth/api platform Unknown - linux/amd64 here, none declared
    shop/web digest Overridden onramp.toml:4 built from your code
    shop/web command Overridden onramp.toml:6 ["serve"] here, ["serve", "--fast"] declared
    shop/web user Overridden onramp.toml:7 root here, www-data declared
    shop/web env.HOST Overridden onramp.toml:10 "db2" here, "db" declared
    shop/web env.PASSWORD Overridden onramp.toml:11 "plain" here, the secret shop/db declared
    shop/web env.EXTRA Overridden onramp.toml:11 "1" here, none declared
    shop/web port Overridden onramp.toml:5 8080 here, 80 declared
    shop/web limits.pids Overridden onramp.toml:13 10 here, 200 declared
    shop/web needs.mail Overridden onramp.toml:8 needed here, none declared
    "#);
}

#[test]
fn what_does_not_run_is_missing_with_all_that_is_declared_of_it() {
    let mut sandbox = Sandbox::up(AS_DECLARED, PRODUCTION);
    sandbox.observed.remove(&"shop/db".parse().unwrap());
    sandbox.container("shop/web").env.remove("MODE");
    sandbox.container("shop/web").ports.clear();
    sandbox.container("shop/web").limits.memory = None;
    insta::assert_snapshot!(sandbox.told(), @r#"
    shop/db digest Missing - the service does not run
    shop/db command Missing - the service does not run
    shop/db user Missing - the service does not run
    shop/db port Missing - the service does not run
    shop/db data Missing - the service does not run
    auth/api platform Unknown - linux/amd64 here, none declared
    shop/web env.MODE Missing - "fast" declared
    shop/web env.PASSWORD Unknown - a secret; this machine has its own
    shop/web port Missing - 80 declared
    shop/web limits.memory Missing - 512 MB declared
    shop/web needs.db Missing - shop/db does not run
    "#);
}

#[test]
fn what_the_project_leaves_out_of_its_own_app_is_missing() {
    insta::assert_snapshot!(Sandbox::up("[services.db]\n", PRODUCTION).told(), @r#"
    shop/db seed Unknown - no seed files say what its data is
    shop/db platform Unknown - linux/amd64 here, none declared
    shop/web digest Missing - onramp.toml does not have the service
    shop/web command Missing - onramp.toml does not have the service
    shop/web user Missing - onramp.toml does not have the service
    shop/web env.HOST Missing - onramp.toml does not have the service
    shop/web env.MODE Missing - onramp.toml does not have the service
    shop/web env.PASSWORD Missing - onramp.toml does not have the service
    shop/web port Missing - onramp.toml does not have the service
    shop/web limits.memory Missing - onramp.toml does not have the service
    shop/web limits.pids Missing - onramp.toml does not have the service
    shop/web limits.cpus Missing - onramp.toml does not have the service
    shop/web needs.db Missing - onramp.toml does not have the service
    shop/web needs.auth/api Missing - onramp.toml does not have the service
    shop/web platform Missing - onramp.toml does not have the service
    shop/web replicas Missing - onramp.toml does not have the service
    "#);
}

#[test]
fn a_container_of_another_declaration_is_told_and_its_values_are_not() {
    let mut sandbox = Sandbox::up(AS_DECLARED, PRODUCTION);
    let web = sandbox.container("shop/web");
    web.repo_digests.clear();
    web.command = vec!["old".into()];
    web.env.extend([("HOST", "hidden"), ("GONE", "hidden")].map(|(key, value)| (key.to_owned(), value.to_owned())));
    insta::assert_snapshot!(sandbox.told(), @r#"
    shop/db seed Unknown - no seed files say what its data is
    shop/db platform Unknown - linux/amd64 here, none declared
    auth/api platform Unknown - linux/amd64 here, none declared
    shop/web digest Overridden - another image here, DIGEST declared; `onramp up` renews it
    shop/web command Overridden - ["old"] here, ["serve", "--fast"] declared; `onramp up` renews it
    shop/web env.HOST Overridden - another value here, "db" declared; `onramp up` renews it
    shop/web env.PASSWORD Unknown - a secret; this machine has its own
    shop/web env.GONE Overridden - another value here, none declared; `onramp up` renews it
    "#);
}

#[test]
fn a_secret_in_the_place_of_a_value_is_not_shown() {
    let services = "[services.web]\nenv = { MODE = { secret = \"shop/mode\" } }\n";
    let told = Sandbox::up(services, PRODUCTION).told();
    let mode = r#"env.MODE Overridden onramp.toml:4 the secret shop/mode here, "fast" declared"#;
    assert!(told.contains(mode), "{told}");
    assert!(!told.contains("derived"), "{told}");
}

#[test]
fn an_image_that_names_no_user_runs_as_root() {
    let told = Sandbox::up("[services.db]\nuser = \"root\"\n", PRODUCTION).told();
    assert!(!told.contains("shop/db user"), "{told}");
}

#[test]
fn what_onramp_itself_does_otherwise_has_a_reason() {
    let production =
        PRODUCTION.replace("cpus = 1.5", "cpus = 16").replace("amd64", "arm64").replace("replicas = 1", "replicas = 3");
    insta::assert_snapshot!(Sandbox::up(AS_DECLARED, &production).told(), @r#"
    shop/db seed Unknown - no seed files say what its data is
    shop/db platform Unknown - linux/amd64 here, none declared
    auth/api platform Unknown - linux/amd64 here, none declared
    shop/web env.PASSWORD Unknown - a secret; this machine has its own
    shop/web limits.cpus Overridden - 2 here, 16 declared: the engine has no more
    shop/web platform Overridden - linux/amd64 here, linux/arm64 declared: it is the engine's
    shop/web replicas Overridden - 1 here, 3 declared: a sandbox runs one of each
    "#);
}

#[test]
fn seeds_are_compared_with_what_filled_the_data() {
    let seeded = "[services.db]\ndata = \"/var/lib/db\"\nseed = [\"seed.sql\"]\n";
    let mut sandbox = Sandbox::up(seeded, PRODUCTION);
    assert!(!sandbox.told().contains("seed"), "{}", sandbox.told());
    sandbox.container("shop/db").seed = None;
    let other =
        "shop/db seed Overridden onramp.toml:5 other seed files filled its data; `onramp up --fresh` makes it anew";
    assert!(sandbox.told().contains(other), "{}", sandbox.told());
}

#[test]
fn a_service_that_nobody_declares_is_nobodys_fact() {
    let services = "[services.mail]\nfallback = \"r.test/base/mail:1\"\n";
    let told = Sandbox::up(services, "").told();
    assert_eq!(told, "shop/mail digest Unknown onramp.toml:3 production does not declare this service\n");
}

#[test]
fn what_is_reached_outside_is_told_host_by_host() {
    let production =
        "[shop.web]\nimage = \"r.test/a@DIGEST\"\negress = [\"a.test:443\", \"b.test:443\"]\nread_only = true\n";
    let same = Sandbox::up("[services.web]\n", production);
    assert!(!same.told().contains("egress") && !same.told().contains("read_only"), "{}", same.told());
    let other = Sandbox::up("[services.web]\negress = [\"a.test:443\", \"c.test:1\"]\nread_only = false\n", production);
    let told = other.told();
    let about = |what: &str| told.lines().filter(|line| line.contains(what)).collect::<Vec<_>>().join("\n");
    assert_eq!(about("read_only"), "shop/web read_only Overridden onramp.toml:5 writable here, read-only declared");
    assert_eq!(
        about(" egress."),
        "shop/web egress.b.test:443 Missing - reached declared\n\
         shop/web egress.c.test:1 Overridden onramp.toml:4 reached here, none declared"
    );
    let mut open = Sandbox::up("[services.web]\n[sandbox]\negress = true\n", production);
    open.container("shop/web").open = true;
    assert_eq!(
        open.told().lines().find(|line| line.contains("egress")),
        Some("shop/web egress Overridden onramp.toml:5 everything outside is open here")
    );
    // onramp's own variables are no difference.
    let mut through = Sandbox::up("[services.web]\n", production);
    through.container("shop/web").env.insert("HTTPS_PROXY".into(), "http://gate".into());
    assert!(!through.told().contains("HTTPS_PROXY"), "{}", through.told());
}

#[test]
fn what_is_mixed_in_is_blamed_for_what_it_changes_and_for_nothing_else() {
    let mut sandbox = Sandbox::up(AS_DECLARED, &PRODUCTION.replace("replicas = 1", "replicas = 3"));
    let api = sandbox.container("auth/api");
    (api.with, api.repo_digests) = (Some("auth=pr:1 (1a2b3c4)".to_owned()), Vec::new());
    api.env.insert("COLOUR".into(), "blue".into());
    let told = sandbox.told();
    let about = told.lines().filter(|line| line.starts_with("auth/api") && line.contains("--with")).collect::<Vec<_>>();
    assert_eq!(
        about,
        [
            "auth/api digest Overridden --with auth=pr:1 (1a2b3c4) another image here, DIGEST declared",
            "auth/api env.COLOUR Overridden --with auth=pr:1 (1a2b3c4) another value here, none declared",
        ]
    );
    assert!(told.contains("shop/web replicas Overridden - 1 here, 3 declared"), "{told}");
}
