//! What differs, and how it is told.

use super::*;
use crate::images::contents::packages::Package;

fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
    Package { ecosystem, name: name.into(), version: version.into(), architecture: Some("amd64".into()) }
}

fn side(image: &str) -> Side {
    Side {
        image: image.into(),
        digest: Digest::of(image.as_bytes()),
        platform: "linux/amd64".into(),
        packed: 1_000,
        bytes: 3_000,
        files: 2,
        unread: Vec::new(),
    }
}

fn diff(packages: Vec<PackageChange>, settings: Settings) -> Diff {
    let layers =
        LayerChanges { added: vec![Layer { digest: Digest::of(b"new"), size: 500 }], ..LayerChanges::default() };
    Diff { from: side("r.test/a:1"), to: side("r.test/a:2"), packages, settings, layers, files: None }
}

#[test]
fn packages_have_a_direction() {
    use Ecosystem::{Deb, Npm};
    let from = [
        package(Deb, "libc6", "2.36-9+deb12u9"),
        package(Deb, "same", "1"),
        package(Deb, "gone", "1"),
        package(Deb, "down", "2:1"),
        package(Npm, "several", "1.0.0"),
        package(Npm, "several", "2.0.0"),
        package(Npm, "odd", "workspace"),
    ];
    let to = [
        package(Deb, "libc6", "2.36-9+deb12u10"),
        package(Deb, "same", "1"),
        package(Deb, "down", "9"),
        package(Npm, "several", "2.0.0"),
        package(Npm, "several", "3.0.0"),
        package(Npm, "odd", "1.0.0"),
        package(Npm, "new\x1b[31m", "1.0.0"),
    ];
    let told: Vec<String> = packages(&from, &to)
        .iter()
        .map(|p| format!("{} {} {:?} -> {:?} {:?}", p.ecosystem.name(), p.name, p.from, p.to, p.change))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    deb down ["2:1"] -> ["9"] Older
    deb gone ["1"] -> [] Removed
    deb libc6 ["2.36-9+deb12u9"] -> ["2.36-9+deb12u10"] Newer
    npm new\u{1b}[31m [] -> ["1.0.0"] Added
    npm odd ["workspace"] -> ["1.0.0"] Changed
    npm several ["1.0.0"] -> ["3.0.0"] Newer
    "#);
}

#[test]
fn settings_are_compared_by_name() {
    let runtime = |text: &str| serde_json::from_str::<Runtime>(text).unwrap();
    let from = runtime(r#"{"Env":["A=1","B=2"],"Cmd":["sh"],"ExposedPorts":{"80/tcp":{}},"User":"www"}"#);
    let to = runtime(r#"{"Env":["A=1","B=3","C"],"Cmd":["bash"],"ExposedPorts":{"8080/tcp":{}},"Labels":{"x":"y"}}"#);
    let found = settings(&from, &to);
    insta::assert_snapshot!(serde_json::to_string(&found).unwrap(), @r#"{"env":{"B":{"from":"2","to":"3"},"C":{"from":null,"to":""}},"entrypoint":null,"command":{"from":["sh"],"to":["bash"]},"user":{"from":"www","to":null},"workdir":null,"ports":{"added":["8080/tcp"],"removed":["80/tcp"]},"volumes":{"added":[],"removed":[]},"labels":{"x":{"from":null,"to":"y"}}}"#);
    assert_eq!(settings(&from, &from), Settings::default());
}

#[test]
fn markdown_keeps_its_form_and_no_secrets() {
    let packages = packages(
        &[package(Ecosystem::Deb, "libc6", "2.36")],
        &[package(Ecosystem::Deb, "libc6", "2.37"), package(Ecosystem::Npm, "@ada/`x`|<b>", "1.0.0")],
    );
    let text = |text: &str| Some(text.to_owned());
    let settings = Settings {
        env: [("DB_PASSWORD".to_owned(), Changed { from: text("old"), to: text("s3cret") })].into(),
        labels: [("a|b".to_owned(), Changed { from: None, to: text("# @everyone\n![x](y)") })].into(),
        ..Settings::default()
    };
    let out = markdown::render(&diff(packages, settings)).replace('\u{200b}', "<zwsp>");
    insta::assert_snapshot!(out, @r"
    Packages: 1 newer, 1 added. Layers: 0 shared, 1 new (500 B), 0 gone. Size: 1.0 KB now, 1.0 KB proposed.

    | package | | now | proposed |
    |---|---|---|---|
    | `deb libc6` | newer | `2.36` | `2.37` |
    | `npm @<zwsp>ada/'x'¦<b>` | added |  | `1.0.0` |

    - label `a¦b`: none now, `# @<zwsp>everyone ![x](y)` proposed
    - variable `DB_PASSWORD` changed
    ");
}

#[test]
fn markdown_is_bounded() {
    let many: Vec<Package> =
        (0..5000).map(|i| package(Ecosystem::Deb, &format!("{}{i}", "p".repeat(200)), "1")).collect();
    let out = markdown::render(&diff(packages(&[], &many), Settings::default()));
    assert!(out.chars().count() <= markdown::MAX);
    assert!(out.contains("4960 more packages") || out.ends_with('…'), "{out}");
}

proptest::proptest! {
    #[test]
    fn no_name_leaves_its_cell(name in "[ -~\u{e9}\n]{1,60}", version in "[ -~\n]{1,40}") {
        let out = markdown::render(&diff(packages(&[], &[package(Ecosystem::Npm, &name, &version)]), Settings::default()));
        let row = out.lines().last().unwrap();
        proptest::prop_assert_eq!(row.matches('|').count(), 5, "{}", row);
        let calls = row.replace("@\u{200b}", "").contains('@');
        proptest::prop_assert!(!calls);
    }
}
