//! What is read of Compose files, and that what is written is read back.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::Fault;
use crate::name::Name;
use crate::project::service::{Build, EnvValue, Need, Ready, Secret, Seed, Service, Shown};
use crate::project::{Lock, Manifest, Project};
use crate::reference::Digest;
use crate::sandbox::plan::EnvironmentAt;
use crate::sandbox::{SandboxId, View, closure};

/// A directory with these files in it.
fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("shop-").tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// The `onramp.toml` that a file with these services becomes, its comments left out, and what is left.
fn told(files: &[(&str, &str)], services: &str) -> String {
    let dir = project(files);
    std::fs::write(dir.path().join("compose.yaml"), format!("services:\n{services}")).unwrap();
    let init = init::plan(dir.path(), Path::new("compose.yaml"), Some(name("shop"))).unwrap();
    let lines = init.manifest.lines().skip(4).filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut out: String = lines.map(|line| format!("{line}\n")).collect();
    for left in &init.left {
        let service = left.service.as_ref().map(|service| format!("{service}.")).unwrap_or_default();
        out.push_str(&format!(
            "{}:{} {service}{} {}: {}\n",
            left.file,
            left.line,
            left.key,
            left.standing.word(),
            left.why
        ));
    }
    out
}

fn failure(text: &str) -> String {
    let dir = project(&[("compose.yaml", text)]);
    let error = init::plan(dir.path(), Path::new("compose.yaml"), None).unwrap_err();
    assert_eq!(error.class(), crate::error::Class::Config);
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}

#[test]
fn images_and_builds() {
    let files = [
        ("Dockerfile", "ARG V=8.2\nFROM php:$V-apache\n"),
        ("api/Dockerfile", "FROM composer AS deps\nARG BASE\nFROM ${BASE}\n"),
        ("none/Dockerfile", "FROM scratch\n"),
    ];
    let services = "  web: {build: ., image: acme/web}\n  \
                    api: {build: {context: ./api, args: {BASE: 'r.test/php:8'}, target: deps, ssh: [default]}}\n  \
                    db: {image: mariadb}\n  none: {build: none}\n  far: {build: 'https://git.test/a.git'}\n  up: {build: ..}\n  \
                    bad: {image: 'A B'}\n";
    insta::assert_snapshot!(told(&files, services), @r#"
    [services.web]
    build = { context = ".", base = "docker.io/library/php:8.2-apache" }
    [services.api]
    build = { context = "api", base = "r.test/php:8" }
    [services.db]
    fallback = "docker.io/library/mariadb:latest"
    Dockerfile:2 web.FROM changed: it does not ask for its base: write `ARG BASE=php:8.2-apache` above it and `FROM $BASE`, and the lock decides
    compose.yaml:2 web.image left: onramp names what it builds
    compose.yaml:3 api.build.target left: the last stage is what is built
    compose.yaml:3 api.build.ssh unsafe: a build gets nothing but its context and its base
    compose.yaml:4 db.image changed: it has no tag: `docker.io/library/mariadb:latest`, as it is when it is locked
    compose.yaml:5 none.build left: `base` is to be what none/Dockerfile is built on, and it is built on nothing (`FROM scratch`)
    compose.yaml:6 far.build left: `https://git.test/a.git` is no directory of this project
    compose.yaml:7 up.build unsafe: `..` is not in the project
    compose.yaml:8 bad.image left: `A B` names no image
    "#);
}

#[test]
fn programs() {
    let services = "  a: {image: 'x:1', command: php -S '0.0.0.0:80' $$HOME}\n  \
                    b: {image: 'x:1', command: [sh, -c, 'a && b'], entrypoint: [tini, --]}\n  \
                    c: {image: 'x:1', command: a && b}\n  d: {image: 'x:1', entrypoint: ''}\n  \
                    e: {image: 'x:1', command: [a, '${NONE}']}\n  f: {image: 'x:1', command: null}\n";
    insta::assert_snapshot!(told(&[], services), @r#"
    [services.a]
    fallback = "docker.io/library/x:1"
    command = ["php", "-S", "0.0.0.0:80", "$HOME"]
    [services.b]
    fallback = "docker.io/library/x:1"
    command = ["tini", "--", "sh", "-c", "a && b"]
    [services.c]
    fallback = "docker.io/library/x:1"
    [services.d]
    fallback = "docker.io/library/x:1"
    [services.e]
    fallback = "docker.io/library/x:1"
    [services.f]
    fallback = "docker.io/library/x:1"
    compose.yaml:3 b.entrypoint changed: the image's own entry point stays, and is given this as the command
    compose.yaml:4 c.command left: only a shell could run this: write it as ["sh", "-c", "…"]
    compose.yaml:5 d.entrypoint changed: the image's own entry point stays
    compose.yaml:6 e.command left: `NONE` has no value in .env, and no default
    "#);
}

#[test]
fn variables_and_secrets() {
    let files = [(".env", "NAME=shop\nDB_PASSWORD=hunter2\nPIN=1234\nPASSED=on\n")];
    let services = "  a:\n    image: x:1\n    environment:\n      NAME: ${NAME}-${LEVEL:-1}\n      PASSED:\n      NUMBER: 010\n      \
                    FLOAT: 1.10\n      YES: yes\n      DB_PASSWORD: ${DB_PASSWORD}\n      URL: mysql://u:${DB_PASSWORD}@db\n      \
                    NONE: ${NONE}\n      USER_PASSWORD: ${PIN}\n      OTHER: ${PIN}\n      BROKEN: $1\n      GIVEN: ${X:?secret shop/x}\n  \
                    b:\n    image: x:1\n    environment: [NAME, 'A=b=c', 'EMPTY=', GONE]\n    secrets: [root, {source: key, target: /k}]\n  \
                    c:\n    image: x:1\n    environment: {MYSQL_PASSWORD_FILE: /run/secrets/root, KEY_FILE: /k}\n    secrets: [root]\n  \
                    d: {image: x:1, command: '--password=${DB_PASSWORD}'}\n";
    let told = told(&files, services);
    assert!(!told.contains("hunter2") && !told.contains("1234"), "{told}");
    insta::assert_snapshot!(told, @r#"
    [services.a]
    fallback = "docker.io/library/x:1"
    [services.a.env]
    DB_PASSWORD = { secret = "shop/db-password" }
    FLOAT = "1.1"
    GIVEN = { secret = "shop/x" }
    NAME = "shop-1"
    NUMBER = "8"
    OTHER = { secret = "shop/pin" }
    PASSED = "on"
    USER_PASSWORD = { secret = "shop/pin" }
    YES = "yes"
    [services.b]
    fallback = "docker.io/library/x:1"
    env = { A = "b=c", EMPTY = "", NAME = "shop" }
    [services.c]
    fallback = "docker.io/library/x:1"
    env = { KEY_FILE = "/k", MYSQL_PASSWORD_FILE = { secret = "shop/root", file = true } }
    [services.d]
    fallback = "docker.io/library/x:1"
    compose.yaml:10 a.environment.DB_PASSWORD changed: a secret: a sandbox makes a value of its own, and that of .env is not written down
    compose.yaml:11 a.environment.URL left: `DB_PASSWORD` of .env is a secret, and would be written down: give it as a variable of its own
    compose.yaml:12 a.environment.NONE left: `NONE` has no value in .env, and no default
    compose.yaml:13 a.environment.USER_PASSWORD changed: a secret: a sandbox makes a value of its own, and that of .env is not written down
    compose.yaml:14 a.environment.OTHER changed: a secret: a sandbox makes a value of its own, and that of .env is not written down
    compose.yaml:15 a.environment.BROKEN left: `$1` is no variable; a dollar is written `$$`
    compose.yaml:19 b.environment.GONE left: `GONE` has no value in .env, and no default
    compose.yaml:20 b.secrets.key left: no variable has its path: write env = { NAME_FILE = { secret = "app/name", file = true } }
    compose.yaml:20 b.secrets.root left: no variable has its path: write env = { NAME_FILE = { secret = "app/name", file = true } }
    compose.yaml:23 c.environment.MYSQL_PASSWORD_FILE changed: the file is /run/secrets/shop/root
    compose.yaml:25 d.command left: `DB_PASSWORD` of .env is a secret, and would be written down: give it as a variable of its own
    "#);
}

#[test]
fn ports_and_health() {
    let services = "  a: {image: 'x:1', ports: ['8080:80', 443, '53:53/udp'], healthcheck: {test: 'curl -f http://localhost/h || exit 1'}}\n  \
                    b: {image: 'x:1', ports: [{target: 80, published: '8081', host_ip: 0.0.0.0}, '8025'], healthcheck: {test: [CMD, wget, 'http://127.0.0.1:8025']}}\n  \
                    c: {image: 'x:1', expose: [9000], healthcheck: {test: [CMD, mysqladmin, ping]}}\n  \
                    d: {image: 'x:1', healthcheck: {test: [NONE]}}\n  \
                    e: {image: 'x:1', healthcheck: {test: [CMD, curl, 'localhost:81/']}, ports: ['80']}\n  \
                    f: {image: 'x:1', healthcheck: {test: [CMD, curl, 'http://localhost:81/']}}\n";
    insta::assert_snapshot!(told(&[], services), @r#"
    [services.a]
    fallback = "docker.io/library/x:1"
    port = 80
    publish = 8080
    ready = { http = "/h" }
    [services.b]
    fallback = "docker.io/library/x:1"
    port = 8025
    ready = { http = "/" }
    [services.c]
    fallback = "docker.io/library/x:1"
    port = 9000
    [services.d]
    fallback = "docker.io/library/x:1"
    [services.e]
    fallback = "docker.io/library/x:1"
    port = 80
    [services.f]
    fallback = "docker.io/library/x:1"
    port = 81
    ready = { http = "/" }
    compose.yaml:2 a.ports left: a sandbox publishes TCP, not udp
    compose.yaml:2 a.ports left: 443: a service has one port, and that is 80
    compose.yaml:3 b.ports left: 80: a service has one port, and that is 8025
    compose.yaml:4 c.healthcheck changed: it asks nothing over HTTP: onramp waits until the port answers
    compose.yaml:6 e.healthcheck left: it asks port 81, which is not the service's
    "#);
}

#[test]
fn volumes_are_data_folders_and_seeds() {
    let files = [("src/a.php", ""), ("db/2.sql", ""), ("db/1.sql", ""), ("db/notes.txt", ""), ("php.ini", "")];
    let services = "  web:\n    image: x:1\n    volumes:\n    - ./src:/var/www/html:ro\n    - ./php.ini:/etc/php.ini\n    \
                    - ./none:/none\n    - /var/run/docker.sock:/var/run/docker.sock\n    - ../..:/host\n    - ~/.ssh:/root/.ssh\n    - /tmp/cache\n    \
                    - {type: bind, source: ./src, target: /again}\n    - {type: tmpfs, target: /t}\n    - src:relative\n  \
                    db: {image: x:1, volumes: ['d:/var/lib/mysql', 'e:/more', './db:/docker-entrypoint-initdb.d']}\n  \
                    pg: {image: x:1, volumes: ['./db/2.sql:/docker-entrypoint-initdb.d/a.sql', './db/1.sql:/docker-entrypoint-initdb.d/b.sql', {type: volume, source: d, target: /d}]}\n  \
                    no: {image: x:1, volumes: ['./db/1.sql:/docker-entrypoint-initdb.d/1.sql']}\n";
    insta::assert_snapshot!(told(&files, services), @r#"
    [services.web]
    fallback = "docker.io/library/x:1"
    sync = { "src" = "/var/www/html" }
    [services.db]
    fallback = "docker.io/library/x:1"
    data = "/var/lib/mysql"
    seed = ["db/1.sql", "db/2.sql"]
    [services.pg]
    fallback = "docker.io/library/x:1"
    data = "/d"
    seed = ["db/2.sql", "db/1.sql"]
    [services.no]
    fallback = "docker.io/library/x:1"
    compose.yaml:5 web.volumes changed: `./src` can be written from the container
    compose.yaml:6 web.volumes left: `./php.ini` is a file: COPY it in a Dockerfile, or mount its directory
    compose.yaml:7 web.volumes left: `./none` is not there
    compose.yaml:8 web.volumes unsafe: `/var/run/docker.sock`: it is the engine's socket, and with it the whole machine
    compose.yaml:9 web.volumes unsafe: `../..`: it is not in the project
    compose.yaml:10 web.volumes unsafe: `~/.ssh`: it is not in the project
    compose.yaml:11 web.volumes left: `/tmp/cache`: only a named volume is data that outlives the container
    compose.yaml:12 web.volumes left: `./src` is at /var/www/html already
    compose.yaml:13 web.volumes left: tmpfs: what is in the container goes with it anyway
    compose.yaml:14 web.volumes left: `relative` is no place in a container
    compose.yaml:15 db.volumes left: `e`: a service has one place for data, and that is /var/lib/mysql
    compose.yaml:17 no.volumes left: seeds are applied to empty data, and the service has none: give it a named volume
    "#);
}

#[test]
fn a_user_and_limits_are_taken_from_both_places() {
    let services = "  a: {image: x:1, user: '33:33', mem_limit: 512m, memswap_limit: 1g, cpus: 0.5, pids_limit: 100}\n  \
                    b: {image: x:1, user: 1000, cap_drop: [all], cap_add: [CAP_SYS_NICE, chown], deploy: {replicas: 2, resources: {limits: {memory: 1.5g, cpus: '2', pids: 7, devices: 1}, reservations: {cpus: '1'}}}}\n  \
                    c: {image: x:1, user: 'a b', mem_limit: 1m, memswap_limit: -1, cpus: many, pids_limit: -1}\n  \
                    d: {image: x:1, user: '', mem_limit: 64m, memswap_limit: 65536k, cpus: 0, pids_limit: 4096}\n";
    insta::assert_snapshot!(told(&[], services), @r#"
    [services.a]
    fallback = "docker.io/library/x:1"
    user = "33:33"
    limits = { memory = "512 MiB", pids = 100, cpus = 0.5 }
    [services.b]
    fallback = "docker.io/library/x:1"
    user = "1000"
    limits = { memory = "1536 MiB", pids = 7, cpus = 2 }
    cap_add = ["SYS_NICE"]
    [services.c]
    fallback = "docker.io/library/x:1"
    [services.d]
    fallback = "docker.io/library/x:1"
    limits = { memory = "64 MiB" }
    compose.yaml:2 a.memswap_limit left: a service with a limit of memory has no swap beside it
    compose.yaml:3 b.deploy.replicas left: it says how an environment runs the service; a sandbox runs one of each
    compose.yaml:3 b.deploy.resources.reservations left: a sandbox sets nothing aside for a service
    compose.yaml:3 b.deploy.resources.limits.devices left: a service has limits of memory, processors and processes alone
    compose.yaml:4 c.user left: it is no name or number of a user, with or without one of a group
    compose.yaml:4 c.mem_limit left: `1048576 B` is less than the 6 MiB that an engine gives at least
    compose.yaml:4 c.cpus left: `many` is no number of processors
    compose.yaml:4 c.pids_limit left: a sandbox always limits processes: to 4096 where nothing is said
    compose.yaml:4 c.memswap_limit left: a service with a limit of memory has no swap beside it
    "#);
}

#[test]
fn what_would_open_a_sandbox_is_not_taken() {
    let services = "  a: {image: x:1, privileged: true, network_mode: host, pid: host, cap_add: [ALL], devices: ['/dev/kvm'],\n      \
                    security_opt: ['seccomp:unconfined'], use_api_socket: true}\n  \
                    b: {image: x:1, privileged: false, networks: [back], deploy: {replicas: 2}, profiles: [debug], prots: ['80'], x-more: 1,\n      \
                    depends_on: {a: {condition: service_completed_successfully}, c_c: {condition: service_started}, zz: {}}}\n  \
                    c_c: {image: x:1, depends_on: [gone]}\n  gone: {image: '${NOTHING}'}\n  1up: {image: x:1}\n  '1': {image: x:1}\n\
                    networks: {back: {}}\ninclude: [other.yaml]\nvolumes: {d: {external: true}, e: }\nx-any: 1\n";
    insta::assert_snapshot!(told(&[], services), @r#"
    [services.a]
    fallback = "docker.io/library/x:1"
    [services.b]
    fallback = "docker.io/library/x:1"
    needs = ["c-c"]
    [services.c-c]
    fallback = "docker.io/library/x:1"
    [services.up]
    fallback = "docker.io/library/x:1"
    compose.yaml:2 a.privileged unsafe: it would open the sandbox to the machine
    compose.yaml:2 a.network_mode unsafe: it would open the sandbox to the machine
    compose.yaml:2 a.pid unsafe: it would open the sandbox to the machine
    compose.yaml:2 a.devices unsafe: it would open the sandbox to the machine
    compose.yaml:2 a.cap_add unsafe: ALL: it would open the sandbox to the machine
    compose.yaml:3 a.security_opt unsafe: it would open the sandbox to the machine
    compose.yaml:3 a.use_api_socket unsafe: it would give the engine, and with it the machine, to the service
    compose.yaml:4 b.networks left: a sandbox has one network of its own, closed to the outside (`egress` names what a service reaches)
    compose.yaml:4 b.profiles changed: a sandbox runs every service of the project: take this one out if it should not run
    compose.yaml:4 b.prots left: did you mean `ports`?
    compose.yaml:4 b.deploy.replicas left: it says how an environment runs the service; a sandbox runs one of each
    compose.yaml:5 b.depends_on.a left: onramp waits for services that answer, not for one that ends
    compose.yaml:5 b.depends_on.zz left: the file has no such service
    compose.yaml:6 services.c_c changed: it is `c-c` here: write that where others call it
    compose.yaml:6 c_c.depends_on.gone left: that service is not taken
    compose.yaml:7 gone.image left: `NOTHING` has no value in .env, and no default
    compose.yaml:8 services.1up changed: it is `up` here: write that where others call it
    compose.yaml:9 services.1 left: a service's name is 1 to 40 lower-case letters, digits and single dashes, and begins with a letter
    compose.yaml:10 networks left: a sandbox has one network of its own, closed to the outside (`egress` names what a service reaches)
    compose.yaml:11 include left: other files are not read: read one that has everything (`docker compose config` makes it)
    compose.yaml:12 volumes.d left: data is in a new volume of the sandbox's own, on the engine's disk
    "#);
}

#[test]
fn mistakes_are_named_where_they_are() {
    let cases = [
        "a: [1\n",
        "",
        "- a\n",
        "services: {}\n",
        "services: [web]\n",
        "services: {web: x}\n",
        "version: '3'\n",
        "services:\n  web: {image: x:1}\n  web: {image: x:2}\n",
        "services:\n  my_db: {image: x:1}\n  my-db: {image: x:1}\n",
        "name: ${NONE}\nservices: {web: {image: x:1}}\n",
        "name: 'Ü'\nservices: {web: {image: x:1}}\n",
        "services: {web: {image: x:1}}\n---\nservices: {}\n",
        "services: {web: {image: '${NONE}'}}\n",
        "services:\n  web: &w [*w]\n",
    ];
    insta::assert_snapshot!(cases.map(failure).join("\n"), @"
    compose.yaml:2:1: while parsing a flow sequence, expected ',' or ']'
    compose.yaml:1:1: it is empty; expected a table with `services`
    compose.yaml:1:1: expected a table with `services`
    compose.yaml:1:1: it has no services
    compose.yaml:1:11: `services` is no table of services
    compose.yaml:1:17: the service `web` is no table
    compose.yaml:1:1: `services` is missing
    compose.yaml:3:3: the key `web` is there twice
    compose.yaml:3:1: the services `my_db` and `my-db` are both `my-db` here (rename one of them)
    compose.yaml:1:7: `NONE` has no value (`--name NAME` says what the project is called)
    compose.yaml:1:7: `Ü` is no name (`--name NAME` says what the project is called)
    compose.yaml:3:1: expected one document, and there is another
    compose.yaml has no service that a project can have (compose.yaml:1 `NONE` has no value in .env, and no default)
    compose.yaml:2:12: an alias of what it lies in
    ");
    assert!(failure(&"[".repeat(100_000)).contains("compose.yaml:1:"));
    let long = format!("services: {{web: {{image: '{}'}}}}", "x".repeat(2 << 20));
    assert!(failure(&long).contains("larger than"));
}

#[test]
fn what_is_written_to_blow_up_is_refused() {
    let services = |count: usize, one: &str| (0..count).map(|at| format!("  s{at}: {one}\n")).collect::<String>();
    // Small there, and too large for a manifest.
    let words = format!("{}, ", "x".repeat(40)).repeat(900);
    let many = format!("x-a: &a {{image: 'x:1', command: [{words}]}}\nservices:\n{}", services(60, "*a"));
    assert!(failure(&many).starts_with("onramp.toml is larger than"));
    let dir = project(&[(".env", &format!("BIG={}\n", "x".repeat(100_000)))]);
    let text = format!("services:\n{}", services(2000, "{image: 'x:1', command: [$BIG]}"));
    let read = read(dir.path(), Path::new("compose.yaml"), &text, None).unwrap();
    let taken = read.services.iter().filter_map(|one| one.service.command.as_ref()).count();
    assert!((1..100).contains(&taken), "{taken}");
    assert!(read.left.iter().any(|left| left.why.contains("more than is read")));
}

#[test]
fn a_file_elsewhere_is_not_read() {
    let dir = project(&[("compose.yaml", "services: {web: {image: x:1}}\n"), ("sub/a.txt", "")]);
    let error = init::plan(&dir.path().join("sub"), Path::new("../compose.yaml"), None).unwrap_err();
    assert_eq!(error.class(), crate::error::Class::Usage);
    assert!(error.next()[0].ends_with("init --from compose.yaml"), "{:?}", error.next());
}

const FILES: [(&str, &str); 5] =
    [("app/Dockerfile", "FROM x\n"), ("src/a", ""), ("src two/a", ""), ("db/a.sql", ""), ("db/b.sql", "")];

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn pinned(seed: u8) -> crate::reference::ImageRef {
    format!("r.test/base/x@{}", Digest::of(&[seed])).parse().unwrap()
}

/// Services that a project can have, each needing some of those before it.
fn services() -> impl Strategy<Value = BTreeMap<Name, Service>> {
    let value = prop_oneof![
        ".{0,20}".prop_map(EnvValue::Plain),
        "[$0-9a-z{}:?'\"#\\\\ .+-]{0,9}".prop_map(EnvValue::Plain),
        "[a-z]{1,6}/[a-z0-9-]{1,6}".prop_map(|secret| EnvValue::Secret(Secret { secret, file: false })),
    ];
    let env = proptest::collection::btree_map("[A-Z_]{1,8}", value, 0..4);
    let command = proptest::option::of(proptest::collection::vec(".{0,12}|[$0-9a-z'\"&|]{1,6}", 1..4));
    let port =
        proptest::option::of((1_u16.., proptest::option::of(1_u16..), proptest::option::of("/[a-z0-9/?=&;%$-]{0,8}")));
    let data = proptest::option::of(("/[a-z]{1,6}(/[a-z$]{1,6})?", any::<bool>()));
    let sync = proptest::collection::btree_map(
        prop::sample::select(vec!["src", "src two", "."]).prop_map(str::to_owned),
        "/[a-z]{1,9}".prop_map(Shown::At),
        0..3,
    );
    let memory = prop::sample::subsequence(vec!["/cache", "/var/x y"], 0..3);
    let root = (proptest::option::of(Just(true)), memory);
    let platform = proptest::option::of(Just("linux/amd64"));
    let one = (any::<bool>(), env, command, port, data, sync, any::<u8>(), platform, root);
    let one = one.prop_map(|(built, env, command, port, data, sync, mask, platform, (read_only, memory))| {
        let build = built.then(|| Build { context: "app".into(), base: pinned(mask) });
        let seed = data.as_ref().filter(|(_, seeded)| *seeded).map(|_| vec!["db/b.sql".into(), "db/a.sql".into()]);
        Service {
            image: (!built).then(|| pinned(mask)),
            build,
            port: port.as_ref().map(|(port, ..)| *port),
            publish: port.as_ref().and_then(|(_, publish, _)| *publish),
            platform: platform.map(str::to_owned),
            command,
            env,
            ready: port.and_then(|(_, _, http)| http).map(|http| Ready { http }),
            data: data.map(|(data, _)| data),
            sync,
            read_only: read_only.filter(|_| seed.is_none()),
            tmpfs: memory.into_iter().map(str::to_owned).collect(),
            seed: Seed::Files(seed.unwrap_or_default()),
            ..Service::default()
        }
    });
    proptest::collection::vec((one, any::<u8>()), 1..4).prop_map(|made| {
        let named = made.into_iter().enumerate().map(|(at, (mut service, mask))| {
            let before = (0..at).filter(|other| mask >> other & 1 == 1);
            service.needs = before.map(|other| Need { app: None, service: name(&format!("s{other}")) }).collect();
            (name(&format!("s{at}")), service)
        });
        named.collect()
    })
}

/// A sandbox of these services.
fn view(root: &Path, services: &BTreeMap<Name, Service>) -> View {
    let mut manifest: Manifest = toml::from_str("schema = 1\nname = \"shop\"\n").unwrap();
    manifest.services.clone_from(services);
    let members =
        closure::resolve(&manifest, "production", &crate::sandbox::with::Mix::default(), &mut |_| Ok(None)).unwrap();
    let id = SandboxId::new(&manifest.name, None, root);
    let environment = EnvironmentAt { environment: name("production"), commit: None };
    let project = Project { root: root.to_owned(), manifest, text: String::new() };
    View {
        project,
        id,
        environment,
        members,
        left_out: Vec::new(),
        mix: crate::sandbox::with::Mix::default(),
        state: None,
        xdebug: None,
        on: None,
        router: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_back(services in services()) {
        let dir = project(&FILES);
        let root = dir.path().canonicalize().unwrap();
        let text = write::write(&view(&root, &services), &Lock::default(), &root).unwrap();
        std::fs::write(root.join("compose.yaml"), &text).unwrap();
        let init = init::plan(&root, Path::new("compose.yaml"), None).unwrap();
        let read: BTreeMap<Name, Service> =
            init.services.into_iter().map(|planned| (planned.name, planned.service)).collect();
        let expected = services.into_iter().map(|(name, mut service)| {
            service.fallback = service.image.take();
            (name, service)
        });
        prop_assert_eq!(&read, &expected.collect::<BTreeMap<_, _>>(), "{}", text);
        prop_assert!(init.left.iter().all(|left| left.key == "networks"), "{:?}", init.left);
        // What was planned is what our own parser made of the text.
        let manifest = crate::project::manifest::parse(Path::new("onramp.toml"), &init.manifest).unwrap();
        prop_assert_eq!((manifest.name.as_str(), manifest.services), ("shop", read));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\], $\n-]{0,60}|.{0,40}") {
        let dir = project(&[]);
        let _ = read(dir.path(), Path::new("compose.yaml"), &text, None);
        let _ = read(dir.path(), Path::new("compose.yaml"), &format!("services:\n  web:\n    image: {text}\n"), None);
        let _ = read(dir.path(), Path::new("compose.yaml"), &format!("services:\n  web:\n    image: x:1\n    {text}\n"), None);
    }
}

/// What is written into the manifest is what was read: parsed again, the services are the same.
#[test]
fn the_manifest_says_what_was_read() {
    let env = "A: \"a\\n\\\"b\\x7f\"\n      LONGER: and longer, and longer, and longer, and longer, and longer, and longer\n      \"with space\": x";
    let services = format!("  web:\n    image: x:1\n    environment:\n      {env}\n");
    let dir = project(&[("compose.yaml", &format!("services:\n{services}"))]);
    let init = init::plan(dir.path(), Path::new("compose.yaml"), None).unwrap();
    let manifest = crate::project::manifest::parse(Path::new("onramp.toml"), &init.manifest).unwrap();
    let read: BTreeMap<Name, Service> = init.services.into_iter().map(|one| (one.name, one.service)).collect();
    assert_eq!(manifest.services, read);
    assert!(init.manifest.contains("\n[services.web.env]\n"), "{}", init.manifest);
}
