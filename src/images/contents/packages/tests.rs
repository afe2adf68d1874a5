//! Parsers against what the package managers themselves say, and against nonsense.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::*;

fn told(source: Source, bytes: &[u8]) -> Told {
    read(source, &mut &*bytes).unwrap()
}

/// `name version` of each package.
fn names(told: &Told) -> BTreeSet<String> {
    match told {
        Told::Packages(packages) => packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect(),
        Told::Unread(why) => panic!("{why}"),
    }
}

fn output(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn dpkg_says_the_same_of_this_machine() {
    let status = std::fs::read("/var/lib/dpkg/status").expect("tests run on Debian");
    let said = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"]));
    let said: BTreeSet<String> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(status, _)| !matches!(*status, "not-installed" | "config-files"))
        .map(|(_, package)| package.to_owned())
        .collect();
    assert!(said.len() > 20);
    assert_eq!(names(&told(Source::Dpkg, &status)), said);
}

#[test]
fn distroless_paragraphs_and_removed_packages() {
    let status = "Package: tzdata\nVersion: 2024a-1\nArchitecture: all\nDescription: zones\n Package: forged\n";
    assert_eq!(names(&told(Source::Dpkg, status.as_bytes())), ["tzdata 2024a-1".to_owned()].into());
    let removed = "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: b\nStatus: install ok half-installed\nVersion: 2";
    assert_eq!(names(&told(Source::Dpkg, removed.as_bytes())), ["b 2".to_owned()].into());
}

#[test]
fn alpine_packages_are_read() {
    let installed = "C:Q1xyz=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\nC:Q1=\nP:busybox\nV:1.36.1-r29\nA:x86_64\n\n";
    let Told::Packages(packages) = told(Source::Apk, installed.as_bytes()) else { panic!() };
    let shown: Vec<String> =
        packages.iter().map(|p| format!("{} {} {}", p.name, p.version, p.architecture.as_deref().unwrap())).collect();
    assert_eq!(shown, ["busybox 1.36.1-r29 x86_64", "musl 1.2.5-r0 x86_64"]);
}

#[test]
fn rpm_says_the_same_of_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let build = |name: &str, extra: &str| {
        let spec = dir.path().join(format!("{name}.spec"));
        let text = format!(
            "Name: {name}\nVersion: 1.{}\nRelease: 3\nSummary: x\nLicense: x\nBuildArch: noarch\n{extra}\n%description\nx\n%files\n",
            name.len()
        );
        std::fs::write(&spec, text).unwrap();
        output(
            Command::new("rpmbuild")
                .args(["-bb", "--define"])
                .arg(format!("_topdir {}", dir.path().display()))
                .arg(&spec)
                .env("HOME", dir.path()),
        );
    };
    for (name, extra) in [("alpha", ""), ("beta-long-name", "Epoch: 2"), ("c", "Provides: x = 1")] {
        build(name, extra);
    }
    let rpm = |arguments: &[&str]| {
        output(
            Command::new("rpm")
                .args(["--define", "_db_backend sqlite", "--dbpath"])
                .arg(dir.path().join("db"))
                .args(arguments)
                .env("HOME", dir.path()),
        )
    };
    for entry in std::fs::read_dir(dir.path().join("RPMS/noarch")).unwrap() {
        let file = entry.unwrap().path();
        rpm(&["-i", "--justdb", "--nodeps", "--noscripts", file.to_str().unwrap()]);
    }
    let said = rpm(&["-qa", "--qf", "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n"]);
    let said: BTreeSet<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(said.len(), 3);
    let file = |name: &str| std::fs::read(dir.path().join("db").join(name)).unwrap();
    assert_eq!(names(&told(Source::RpmSqlite, &file("rpmdb.sqlite"))), said);
}

#[test]
fn npm_says_the_same_of_what_it_locked() {
    let dir = tempfile::tempdir().unwrap();
    // Packages of the project's own: npm locks them without a network.
    for (name, version) in [("one", "1.2.3"), ("two", "4.0.0-rc.1")] {
        let place = dir.path().join("packages").join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("package.json"), format!(r#"{{"name":"@acme/{name}","version":"{version}"}}"#))
            .unwrap();
        output(
            Command::new("npm").args(["pack", "--silent", "--pack-destination"]).arg(dir.path()).current_dir(&place),
        );
    }
    let project = dir.path().join("project");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(
        project.join("package.json"),
        r#"{"name":"p","version":"9.9.9","dependencies":{"@acme/one":"file:../acme-one-1.2.3.tgz","alias":"file:../acme-two-4.0.0-rc.1.tgz"}}"#,
    )
    .unwrap();
    for version in ["1", "2", "3"] {
        let _ = std::fs::remove_file(project.join("package-lock.json"));
        let npm = || {
            let mut npm = Command::new("npm");
            npm.current_dir(&project).env("HOME", dir.path());
            npm
        };
        output(npm().args(["install", "--offline", "--no-audit", "--no-fund", "--lockfile-version", version]));
        let lock = std::fs::read(project.join("package-lock.json")).unwrap();
        let found = names(&told(Source::Npm, &lock));
        assert!(found.contains("@acme/one 1.2.3") || version == "1", "{version}: {found:?}");
        assert_eq!(found.len(), 2, "{version}: {found:?}");
    }
    let hidden = std::fs::read(project.join("node_modules/.package-lock.json")).unwrap();
    let found = names(&told(Source::Npm, &hidden));
    assert_eq!(found, ["@acme/one 1.2.3".to_owned(), "@acme/two 4.0.0-rc.1".to_owned()].into());
}

#[test]
fn pip_says_the_same_of_an_environment() {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv");
    let python = environment.join("bin/python");
    assert!(python.exists(), "run scripts/setup test");
    let listed = output(Command::new(&python).args(["-m", "pip", "list", "--format=json"]));
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    let said: BTreeSet<String> =
        listed.iter().map(|p| format!("{} {}", p["name"].as_str().unwrap(), p["version"].as_str().unwrap())).collect();
    let mut found = BTreeSet::new();
    for entry in ignore::WalkBuilder::new(&environment).standard_filters(false).max_depth(Some(6)).build() {
        let path = entry.unwrap().into_path();
        let relative = path.strip_prefix(&environment).unwrap().to_str().unwrap();
        if relative.contains("site-packages/")
            && !relative.contains("_vendor/")
            && path.is_file()
            && let Some(kind @ Source::Python) = source(relative.as_bytes())
        {
            found.extend(names(&told(kind, &std::fs::read(&path).unwrap())));
        }
    }
    assert!(said.len() > 5);
    assert_eq!(found, said);
}

#[test]
fn what_pip_freezes_is_read_as_it_is_installed() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let frozen = output(Command::new(&python).args(["-m", "pip", "freeze", "--all"]));
    let said: BTreeSet<String> =
        frozen.lines().filter(|line| !line.starts_with('#')).map(|line| line.replace("==", " ")).collect();
    assert!(said.len() > 5);
    assert_eq!(names(&told(Source::Requirements, frozen.as_bytes())), said);
}

#[test]
fn python_locks_of_all_forms_are_read() {
    let expected: BTreeSet<String> = ["flask 3.0.2".to_owned(), "zope.interface 6.1".to_owned()].into();
    let requirements = "# a==1\n-r more.txt\n--index-url https://x.test/?a==b\nflask[async] == 3.0.2 ; python_version>'3' \\\n\
        \x20   --hash=sha256:aa==\nzope.interface===6.1 # why\nloose>=1\nrange==1.*\nat @ https://x.test/a==1.whl\n";
    let pipfile = r#"{"_meta":{"sources":[]},"default":{"flask":{"version":"==3.0.2","hashes":["sha256:aa"]},
        "ours":{"path":"."}},"develop":{"zope.interface":{"version":"==6.1"}}}"#;
    let poetry = "[[package]]\nname = \"flask\"\nversion = \"3.0.2\"\nfiles = [\n    {file = \"x\"},\n]\n\n[package.dependencies]\n\
        name = \"no\"\nversion = \"1\"\n\n[[package]]\nname = \"zope.interface\"\nversion = \"6.1\"\n\n[metadata]\nlock-version = \"2.0\"\n";
    for (source, text) in [(Source::Requirements, requirements), (Source::Pipfile, pipfile), (Source::Poetry, poetry)] {
        assert_eq!(names(&told(source, text.as_bytes())), expected, "{source:?}");
    }
}

#[test]
fn composer_files_of_all_forms_are_read() {
    let expected: BTreeSet<String> = ["monolog/monolog 3.5.0".to_owned(), "psr/log v3.0.0".to_owned()].into();
    let (monolog, psr) = (
        r#"{"name":"monolog/monolog","version":"3.5.0","require":{"php":">=8.1"}}"#,
        r#"{"name":"psr/log","version":"v3.0.0"}"#,
    );
    for text in [
        format!(r#"{{"_readme":["x"],"packages":[{monolog}],"packages-dev":[{psr}],"aliases":[]}}"#),
        format!(r#"{{"packages":[{monolog},{psr}],"dev":true,"dev-package-names":["psr/log"]}}"#),
        format!("[{monolog},{psr}]"),
    ] {
        assert_eq!(names(&told(Source::Composer, text.as_bytes())), expected, "{text}");
    }
}

#[test]
fn nested_packages_of_npms_first_lock_are_read() {
    let text = r#"{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},
        "x":{"version":"npm:real@3.0.0"}}}"#;
    assert_eq!(
        names(&told(Source::Npm, text.as_bytes())),
        ["a 1.0.0", "b 2.0.0", "real 3.0.0"].map(str::to_owned).into()
    );
}

#[test]
fn what_is_not_read_is_named() {
    let deep = "{\"dependencies\":{\"a\":".repeat(100_000);
    let many: String = (0..=MOST).map(|i| format!("Package: p{i}\nVersion: 1\n\n")).collect();
    let long = format!("Package: {}\nVersion: 1\n", "x".repeat(LONGEST + 1));
    for (source, bytes) in [
        (Source::Npm, deep.as_bytes()),
        (Source::Npm, b"[]"),
        (Source::Composer, b"{\"packages\":[{}]}"),
        (Source::Composer, b"\x1b[31m"),
        (Source::RpmSqlite, b"SQLite format 3\0"),
        (Source::Python, b"Description: x\n\nName: forged\n"),
        (Source::Dpkg, many.as_bytes()),
        (Source::Dpkg, long.as_bytes()),
        (Source::Unreadable(Ecosystem::Rpm, "why"), b"x"),
    ] {
        let Told::Unread(why) = told(source, bytes) else { panic!("{source:?}") };
        assert!(!why.chars().any(char::is_control), "{why}");
    }
    assert_eq!(told(Source::Unreadable(Ecosystem::Rpm, "why"), b""), Told::Packages(Vec::new()));
}

#[test]
fn a_broken_stream_is_no_fault_of_the_file() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    for kind in [Source::Dpkg, Source::Apk, Source::RpmSqlite, Source::Composer, Source::Npm, Source::Python] {
        let error = read(kind, &mut std::io::BufReader::new(Broken)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{kind:?}");
    }
}

#[test]
fn sources_are_known_by_their_paths() {
    for (path, expected) in [
        ("var/lib/dpkg/status", Some(Source::Dpkg)),
        ("var/lib/dpkg/status.d/base", Some(Source::Dpkg)),
        ("var/lib/dpkg/status.d/base.md5sums", None),
        ("app/var/lib/dpkg/status", None),
        ("lib/apk/db/installed", Some(Source::Apk)),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", Some(Source::RpmSqlite)),
        ("composer.lock", Some(Source::Composer)),
        ("app/vendor/composer/installed.json", Some(Source::Composer)),
        ("app/vendor/a/b/composer.lock", None),
        ("app/xvendor/composer/installed.json", None),
        ("app/node_modules/.package-lock.json", Some(Source::Npm)),
        ("app/node_modules/x/package-lock.json", None),
        ("app/package-lock.json", Some(Source::Npm)),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", Some(Source::Python)),
        ("venv/lib/python3.11/site-packages/pip-23.0.dist-info/METADATA", Some(Source::Python)),
        ("METADATA", None),
        ("app/requirements.txt", Some(Source::Requirements)),
        ("venv/lib/python3.11/site-packages/x/requirements.txt", None),
        ("app/Pipfile.lock", Some(Source::Pipfile)),
        ("poetry.lock", Some(Source::Poetry)),
    ] {
        assert_eq!(source(path.as_bytes()), expected, "{path}");
    }
    assert_eq!(stronger("app/composer.lock").as_deref(), Some("app/vendor/composer/installed.json"));
    assert_eq!(stronger("package-lock.json").as_deref(), Some("node_modules/.package-lock.json"));
}

fn kinds() -> impl proptest::strategy::Strategy<Value = Source> {
    proptest::sample::select(vec![
        Source::Dpkg,
        Source::Apk,
        Source::RpmSqlite,
        Source::Composer,
        Source::Npm,
        Source::Python,
        Source::Requirements,
        Source::Pipfile,
        Source::Poetry,
    ])
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(kind in kinds(), bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9 \n./-]{0,200}") {
        told(kind, &bytes);
        told(kind, text.as_bytes());
    }

    #[test]
    fn what_dpkg_and_apk_write_is_found(packages in proptest::collection::btree_map("[a-z][a-z0-9.+-]{1,20}", "[0-9][a-z0-9.+~:-]{0,20}", 0..20)) {
        let expected: BTreeSet<String> = packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let dpkg: String = packages.iter().map(|(name, version)| format!("Package: {name}\nStatus: install ok installed\nDescription: x\n more\n .\nVersion: {version}\n\n")).collect();
        proptest::prop_assert_eq!(names(&told(Source::Dpkg, dpkg.as_bytes())), expected.clone());
        let apk: String = packages.iter().map(|(name, version)| format!("P:{name}\nV:{version}\nT:x:y\n\n")).collect();
        proptest::prop_assert_eq!(names(&told(Source::Apk, apk.as_bytes())), expected);
    }
}
