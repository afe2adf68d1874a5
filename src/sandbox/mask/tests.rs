//! Dumps as their programs write them, masked; and what is refused.

use super::*;
use crate::project::seed::{Fixed, Kind};

const MYSQL: &str = "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n";
const POSTGRES: &str = "--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n";
const TABLE: &str = "CREATE TABLE `users` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `email` varchar(255) DEFAULT NULL COMMENT 'a, b)',\n  `note` longtext,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `email` (`email`)\n) ENGINE=InnoDB;\n";

fn kind(kind: Kind) -> Mask {
    Mask::Kind(kind)
}

fn masks(rules: &[(&str, Mask)]) -> Masks {
    let rules = rules.iter().map(|(column, mask)| ((*column).to_owned().try_into().unwrap(), mask.clone())).collect();
    Masks::new(&rules, MaskKey::new([7; 32]))
}

fn email() -> Masks {
    masks(&[("users.email", kind(Kind::Email))])
}

fn masked_by(masks: &Masks, dump: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut masking, mut out) = (Masking::new(masks), Vec::new());
    masking.file(Path::new("dump.sql"), dump, &mut out)?;
    masking.end()?;
    Ok(out)
}

fn masked(masks: &Masks, dump: &str) -> String {
    String::from_utf8(masked_by(masks, dump.as_bytes()).unwrap_or_else(|error| panic!("{error}: {dump}"))).unwrap()
}

/// What becomes of an address.
fn address(of: &str) -> String {
    email().key.mask(&kind(Kind::Email), of.as_bytes(), Some(255)).unwrap()
}

#[test]
fn rows_of_mysqldump_are_masked_and_all_else_stays() {
    let dump = |ann: &str, bob: &str| {
        format!(
            "{MYSQL}/*!40101 SET NAMES utf8mb4 */;\nDROP TABLE IF EXISTS `users`;\n{TABLE}LOCK TABLES `users` WRITE;\n/*!40000 ALTER TABLE `users` DISABLE KEYS */;\nINSERT INTO `users` VALUES\n(1,'{ann}','it\\'s; \\\\'),\n(2,NULL,'😀 (\"x\")'),\n(3,'{bob}',0x00FF);\nINSERT INTO `logs` VALUES (1,'ann@acme.test');\nDELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN SET @a = ';'; END */;;\nDELIMITER ;\n/*!40000 ALTER TABLE `users` ENABLE KEYS */;\nUNLOCK TABLES;\n"
        )
    };
    let expected = dump(&address("ann@acme.test"), &address("o'bob@acme.test"));
    assert_eq!(masked(&email(), &dump("ann@acme.test", "o\\'bob@acme.test")), expected);
    let columns =
        format!("{MYSQL}{TABLE}REPLACE INTO shop.users (note, `EMAIL`) VALUES (now(), _binary 'a@b.test');\n");
    let told = masked(&email(), &columns);
    assert!(told.ends_with(&format!("VALUES (now(), _binary '{}');\n", address("a@b.test"))), "{told}");
}

#[test]
fn rows_of_pg_dump_are_masked_as_inserts_and_as_copies_and_those_of_parts_too() {
    let tables = "CREATE TABLE public.users (\n    id integer NOT NULL,\n    email character varying(255),\n    note text DEFAULT 'a'::text\n)\nPARTITION BY RANGE (id);\nCREATE TABLE public.users_1 (\n    id integer NOT NULL,\n    email character varying(255),\n    note text\n);\nALTER TABLE ONLY public.users ATTACH PARTITION public.users_1 FOR VALUES FROM (1) TO (100);\n";
    let dump = |ann: &str, bob: &str, copied: &str| {
        format!(
            "{POSTGRES}{tables}CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $_$ SELECT ';'; $_$;\nINSERT INTO public.users VALUES (1, '{ann}', 'a\\');\nINSERT INTO public.users_1 (id, email) OVERRIDING SYSTEM VALUE VALUES (2, E'{bob}') ON CONFLICT DO NOTHING;\nCOPY public.users_1 (id, email, note) FROM stdin;\n1\t{copied}\tx\\ty\n2\t\\N\t\\N\n\\.\n\nCOPY public.logs (id, text) FROM stdin;\n1\tann@acme.test\n\\.\nSELECT pg_catalog.setval('public.users_id_seq', 2, true);\n"
        )
    };
    let expected = dump(&address("ann@acme.test"), &address("o'b@acme.test"), &address("c\\d@acme.test"));
    assert_eq!(masked(&email(), &dump("ann@acme.test", "o\\'b@acme.test", "c\\\\d@acme.test")), expected);
}

#[test]
fn a_mask_fits_what_the_value_is() {
    let dump =
        |values: &str| format!("CREATE TABLE u (a INT, b VARCHAR(9), c TEXT);\nINSERT INTO u VALUES ({values});\n");
    let told = |column: &str, mask: Mask, values: &str| {
        let dump = dump(values);
        let told = masked_by(&masks(&[(column, mask)]), dump.as_bytes());
        let prefix = "CREATE TABLE u (a INT, b VARCHAR(9), c TEXT);\nINSERT INTO u VALUES (";
        told.map(|out| String::from_utf8(out).unwrap().replace(prefix, "").replace(");\n", ""))
    };
    let fixed = |text: &str| Mask::Fixed(Fixed { fixed: text.to_owned() });
    assert_eq!(told("u.c", kind(Kind::Null), "1,'x','y'").unwrap(), "1,'x',NULL");
    assert_eq!(told("u.c", fixed("it's"), "1,'x','y'").unwrap(), "1,'x','it''s'");
    assert_eq!(told("u.a", fixed("0"), "1,'x','y'").unwrap(), "0,'x','y'");
    assert_eq!(told("u.c", fixed("z"), "1,'x',DEFAULT").unwrap(), "1,'x',DEFAULT");
    assert_eq!(told("u.b", kind(Kind::Email), "1,'ann@a.test','y'").unwrap().len(), "1,'abcdefghi','y'".len());
    let number = told("u.a", kind(Kind::Digits), "2147483647,'x','y'").unwrap();
    assert!(number.split(',').next().unwrap().parse::<i32>().is_ok(), "{number}");
    let error = told("u.a", kind(Kind::Email), "1,'x','y'").unwrap_err();
    assert_eq!(
        error.to_string(),
        "dump.sql:2: the mask of u.a does not fit: a value is a number, and `email` makes text"
    );
    assert_eq!(error.class(), Class::Config);
    assert!(matches!(told("u.c", kind(Kind::Text), "1,'x',TRUE"), Err(Error::Unfit { .. })));
}

#[test]
fn what_is_not_understood_is_refused_where_a_masked_table_may_be_in_it() {
    let cases: [(&str, &str); 36] = [
        ("INSERT INTO users SELECT 1;", "are not written as VALUES"),
        ("INSERT INTO users SET email = 'a';", "are not written as VALUES"),
        ("INSERT INTO users VALUES (1, CONCAT('a', 'b'), 2);", "is no literal"),
        ("INSERT INTO users VALUES (1, 'a' 'b', 2);", "is no literal"),
        ("INSERT INTO users VALUES (1, \"a\", 2);", "is no literal"),
        ("INSERT INTO users VALUES (1, 'a');", "not as many values"),
        ("INSERT INTO users VALUES (1, 'a', 2, 3);", "not as many values"),
        ("INSERT INTO users VALUES (1, 'a', (2;", "a row has no end"),
        ("INSERT INTO users VALUES (1, 'a', 2) ON DUPLICATE KEY UPDATE email = 'b';", "is not understood"),
        ("INSERT INTO users VALUES (1, 'a', 2) RETURNING email;", "is not understood"),
        ("INSERT INTO users VALUES (1, 'a', 2), ;", "no row follows"),
        ("INSERT INTO users VALUES (1, 'a", "a text has no end"),
        ("INSERT INTO users VALUES (1, 'a\\'', 2);", "a backslash in a text"),
        ("INSERT INTO 'users' VALUES (1, 'a', 2);", "where a name should"),
        ("UPDATE users SET email = 'a';", "a statement UPDATE names a masked table"),
        ("WITH a AS (INSERT INTO users VALUES (1)) SELECT 1;", "a statement WITH names a masked table"),
        ("MERGE INTO Users USING b;", "a statement MERGE names a masked table"),
        ("SELECT 'a' AS email INTO users;", "a statement SELECT fills a masked table"),
        ("PREPARE a FROM 'x';", "a statement PREPARE may hold"),
        ("LOAD DATA INFILE 'x' INTO TABLE b;", "a statement LOAD may hold"),
        ("CALL fill();", "a statement CALL may hold"),
        ("SET sql_mode = 'NO_BACKSLASH_ESCAPES';", "changes how texts are read"),
        ("SET standard_conforming_strings = off;", "changes how texts are read"),
        ("ALTER TABLE users RENAME TO people;", "gets other names"),
        ("CREATE VIEW v AS SELECT * FROM users; INSERT INTO v VALUES (1, 'a', 2);", "the view `v`"),
        ("CREATE TABLE users (a INT) AS SELECT 'a' AS email;", "is made with rows in it"),
        ("COPY users FROM stdin WITH (FORMAT csv);\n1,a,2\n\\.\n", "not plainly FROM stdin"),
        ("COPY users FROM stdin;\n1\ta\n\\.\n", "not as many values"),
        ("COPY users FROM stdin;\n1\ta\t2\n", "have no end"),
        ("INSERT INTO logs VALUES (1)\\g INSERT INTO users VALUES (1, 'a', 2);", "a backslash stands outside"),
        ("INSERT INTO logs VALUES (1) delimiter ;; ", "a DELIMITER stands in a statement"),
        ("INSERT INTO users VALUES (1, 'a' /* ann */, 2);", "is no literal"),
        ("INSERT INTO users VALUES (1, -- ann\n 'a', 2);", "is no literal"),
        ("SET NAMES gbk;", "changes how texts are read"),
        ("SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);", "changes how texts are read"),
        ("# INSERT INTO users VALUES\n;", "`#` is read otherwise"),
    ];
    let create = "CREATE TABLE users (id INT, email VARCHAR(255), note TEXT);\n";
    for (statement, why) in cases {
        let error = masked_by(&email(), format!("{create}{statement}").as_bytes()).expect_err(statement);
        assert!(error.to_string().contains(why), "{statement}: {error}");
        assert_eq!(error.class(), Class::Security, "{statement}");
    }
    for statement in ["\\i users.sql", "\\copy users from x", "INSERT INTO users VALUES (1, 'a', 2);"] {
        let error = masked_by(&email(), format!("{POSTGRES}{statement}\n").as_bytes()).unwrap_err();
        assert_eq!(error.class(), Class::Security, "{statement}");
    }
    let skipped = format!("{MYSQL}{create}/*!99999 don't */ INSERT INTO users VALUES (1,'a',2);");
    let error = masked_by(&email(), skipped.as_bytes()).unwrap_err();
    assert!(error.to_string().ends_with("the end of a comment stands in a text"), "{error}");
    let (masks, mut out) = (email(), Vec::new());
    let script = Masking::new(&masks).file(Path::new("fill.sh"), b"x".as_slice(), &mut out).unwrap_err();
    assert_eq!(script.to_string(), "fill.sh:1: only .sql files can be masked, packed or not");
    // Where none can be in it, it goes on.
    let other = format!("{create}UPDATE logs SET a = 1;\nVACUUM logs;\n");
    assert_eq!(masked(&email(), &other), other);
}

#[test]
fn a_rule_for_nothing_is_named_with_what_was_meant() {
    let create = "CREATE TABLE users (id INT, email VARCHAR(255));\n";
    let told = |rule: &str| {
        let error = masked_by(&masks(&[(rule, kind(Kind::Text))]), create.as_bytes()).unwrap_err();
        assert_eq!(error.class(), Class::Config);
        format!("{error}; {}", error.hint().unwrap())
    };
    assert_eq!(
        told("user.email"),
        "`mask` names table `user`, which the seed files do not have; did you mean `users`?"
    );
    assert_eq!(
        told("users.mail"),
        "`mask` names column `users.mail`, which the seed files do not have; did you mean `email`?"
    );
}

#[test]
fn what_one_file_makes_holds_for_the_next() {
    let (masks, mut out) = (email(), Vec::new());
    let mut masking = Masking::new(&masks);
    masking.file(Path::new("1.sql"), TABLE.replace('`', "").as_bytes(), &mut Vec::new()).unwrap();
    let rows = "INSERT INTO users VALUES (1,'ann@acme.test','x');";
    masking.file(Path::new("2.sql"), rows.as_bytes(), &mut out).unwrap();
    masking.end().unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), rows.replace("ann@acme.test", &address("ann@acme.test")));
}

/// A value as mysqldump writes it.
fn mysql(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            '\'' | '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    format!("'{out}'")
}

proptest::proptest! {
    #[test]
    fn what_is_masked_never_appears_and_the_rest_is_byte_for_byte(
        rows in proptest::collection::vec(("[a-z]{12}['\\\\\"\\n;]?[^\u{0}]{0,6}", proptest::option::of(".{0,20}")), 1..8),
        extended: bool,
    ) {
        let row = |at: usize, email: &str, note: &Option<String>| {
            let note = note.as_ref().map_or_else(|| "NULL".to_owned(), |note| mysql(note));
            format!("({at},{email},{note})")
        };
        let dump = |email: &dyn Fn(&str) -> String| {
            let rows: Vec<String> = rows.iter().enumerate().map(|(at, (value, note))| row(at, &email(value), note)).collect();
            let rows = if extended {
                format!("INSERT INTO `users` VALUES {};\n", rows.join(","))
            } else {
                rows.iter().map(|row| format!("INSERT INTO `users` VALUES {row};\n")).collect()
            };
            format!("{MYSQL}{TABLE}{rows}")
        };
        let out = masked(&email(), &dump(&|value| mysql(value)));
        proptest::prop_assert_eq!(&out, &dump(&|value| format!("'{}'", address(value))));
        for (value, _) in &rows {
            proptest::prop_assert!(!out.contains(&value[..12]) || rows.iter().any(|(_, note)| note.as_ref().is_some_and(|note| note.contains(&value[..12]))));
        }
    }

    #[test]
    fn no_script_makes_it_panic(script in "(INSERT INTO users|VALUES|[(),;'\"`$#\\\\ a1]|/\\*!?|\\*/|--|COPY|FROM stdin|\n|\\\\\\.){0,30}") {
        for header in ["", MYSQL, POSTGRES] {
            let _ = masked_by(&email(), format!("{header}{script}").as_bytes());
        }
    }

    #[test]
    fn without_a_masked_table_a_script_stays_as_it_is(script in "(INSERT INTO t VALUES \\([0-9]{1,3},'[a-z;()]{0,9}'\\);\n|-- [a-z']{0,9}\n|SET a = 1;\n|CREATE TABLE t \\(a INT\\);\n){0,9}") {
        let masks = masks(&[]);
        proptest::prop_assert_eq!(masked(&masks, &script), script);
    }
}
