//! Dumps of production, masked on their way into a sandbox; dumped from and put into the real database.

use std::process::Command;

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

/// What the shop's database answers.
fn sql(dev: &Developer, text: &str) -> String {
    let run = dev.in_shop("exec db -- mariadb shop --default-character-set=utf8mb4 -N -e").arg(text);
    run.ok().stdout.trim().to_owned()
}

/// Lets the shop's database be filled by this.
fn seeded(dev: &Developer, seed: &str) {
    let manifest = dev.read("shop/onramp.toml");
    let line = manifest.lines().find(|line| line.starts_with("seed = ")).unwrap();
    dev.write("shop/onramp.toml", manifest.replace(line, &format!("seed = {seed}")));
}

const PEOPLE: &str = "
CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(100) UNIQUE, name VARCHAR(80), phone VARCHAR(40), tax BIGINT, note TEXT, face BLOB) CHARACTER SET utf8mb4;
CREATE TABLE orders (id INT PRIMARY KEY, who VARCHAR(100), total DECIMAL(10,2)) CHARACTER SET utf8mb4;
INSERT INTO people VALUES
 (1, 'ann@acme.test', 'Ann Ångström', '+49 176 1234567', 12345678901, 'it''s \"5\\\\6\"; -- \\n 😀', X'00FF27'),
 (2, 'o''bob@acme.test', 'Bob', '0176/98765', 2147483648, NULL, NULL),
 (3, NULL, NULL, NULL, NULL, '', 'x'),
 (4, '\\\\\\'; DROP TABLE people; --@acme.test', 'Ćelo 😀', '-', 7, '), (', X'');
INSERT INTO orders VALUES (10, 'ann@acme.test', 5.50), (11, 'o''bob@acme.test', 7), (12, 'ann@acme.test', 1);
";

#[test]
fn a_dump_of_the_database_goes_in_masked() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    sql(&dev, PEOPLE);
    sql(&dev, "CREATE USER dump@'%' IDENTIFIED BY 'dump'; GRANT ALL ON *.* TO dump@'%'");
    let unmasked = "SELECT id, HEX(note), HEX(face) FROM people ORDER BY id; SELECT id, total FROM orders ORDER BY id";
    let before = sql(&dev, unmasked);
    for options in [&["--hex-blob"][..], &["--skip-extended-insert", "--complete-insert"]] {
        let port = dev.port("shop", "shop/db").to_string();
        let mut program = Command::new("mariadb-dump");
        program.args(["-h", "127.0.0.1", "-P", &port, "-u", "dump", "-pdump", "--default-character-set=utf8mb4"]);
        let dump = program.args(options).args(["shop", "people", "orders"]).output().unwrap();
        assert!(dump.status.success(), "{dump:?}");
        let mut dump = dump.stdout;
        assert!(dump.windows(13).any(|held| held == b"ann@acme.test"));
        dump.extend(format!("-- {:?}\n", dev.path("shop")).bytes());
        dev.write(format!("shop/db/dump{}.sql", options.len()), dump);
    }
    let rules = "mask = { 'people.email' = 'email', 'people.name' = 'name', 'people.phone' = 'phone', 'people.tax' = 'digits', 'orders.who' = 'email' }";
    for dump in ["dump1.sql", "dump2.sql"] {
        let files = format!("files = ['db/{dump}'], production = true");
        seeded(&dev, &format!("{{ {files} }}"));
        let refused = dev.in_shop("up --fresh --yes").fails(Class::Security);
        assert!(refused.stderr.contains("services.db: `seed` is of `production` and has no `mask`"), "{refused}");
        assert!(refused.stderr.contains("onramp.toml:") && refused.stderr.contains("users.email"), "{refused}");
        seeded(&dev, &format!("{{ {files}, mask = {{ 'people.mail' = 'email' }} }}"));
        let unknown = dev.in_shop("up --fresh --yes").fails(Class::Config);
        assert!(unknown.stderr.contains("`mask` names column `people.mail`"), "{unknown}");
        assert!(unknown.stderr.contains("did you mean `email`?"), "{unknown}");

        seeded(&dev, &format!("{{ {files}, {rules} }}"));
        let up = dev.in_shop("up --fresh --yes").ok();
        assert_eq!(sql(&dev, "SHOW TABLES"), "orders\npeople", "{dump}: {up}");
        assert_eq!(sql(&dev, unmasked), before, "what is not masked is as it was");
        let all = sql(&dev, "SELECT id, email, name, phone, tax, note FROM people; SELECT * FROM orders");
        for hidden in ["acme.test", "ngstr", "Bob", "1234567", "98765", "12345678901", "2147483648"] {
            assert!(!all.contains(hidden), "{hidden} in {all}");
        }
        assert_eq!(sql(&dev, "SELECT COUNT(*) FROM orders JOIN people ON who = email"), "3", "joins hold: {all}");
        assert_eq!(sql(&dev, "SELECT COUNT(*) FROM people WHERE email IS NULL AND name IS NULL AND tax IS NULL"), "1");
        assert_eq!(sql(&dev, "SELECT LENGTH(tax), phone LIKE '+__ ___ _______' FROM people WHERE id = 1"), "11\t1");
        assert_eq!(sql(&dev, "SELECT COUNT(*) FROM people WHERE email LIKE '%@example.com'"), "3");
    }
    let golden = || {
        let volumes = engine::volumes_of(&dev.path("shop"));
        volumes.iter().filter(|name| !engine::label_of(name, "dev.onramp.golden").is_empty()).count()
    };
    let kept = golden();
    dev.in_shop("down --data --yes").ok();
    assert!(dev.in_shop("up").ok().stderr.contains("clone   shop/db"), "what is masked has a golden copy");
    seeded(&dev, "{ files = ['db/dump2.sql'], mask = { 'people.email' = 'text', 'people.note' = 'null' } }");
    assert!(!dev.in_shop("up --fresh --yes").ok().stderr.contains("clone   shop/db"), "of these masks alone");
    assert!(golden() > 0 && kept > 0);
    assert_eq!(sql(&dev, "SELECT COUNT(*) FROM people WHERE note IS NOT NULL AND note <> ''"), "0");
    let compose = dev.in_shop("export compose").ok();
    assert!(!compose.stdout.contains("dump2.sql") && compose.stdout.contains("Compose masks nothing"), "{compose}");
}
