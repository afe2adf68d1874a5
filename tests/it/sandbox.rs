//! `up`, `down`, `status`, `logs`, `exec`, `parity`, `test`, on the real engine.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

#[test]
fn my_code_runs_with_everything_it_needs_and_an_edit_is_live() {
    let dev = Developer::new();
    dev.shop();
    let up = dev.in_shop("up").ok();
    assert!(up.stdout.contains("parity with production@[COMMIT]: 2 of 3 services at its digests"), "{up}");
    let page = dev.page("shop", "shop/web", "/");
    assert!(page.contains("Fountain pen"), "rows of the seeded database: {page}");
    assert!(page.contains("Signed in as <strong>ada</strong>"), "what auth said: {page}");

    let index = dev.read("shop/src/index.php");
    dev.write("shop/src/index.php", index.replace("Our products", "Edited"));
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Edited</h1>"), "without a rebuild");

    let again = dev.in_shop("up").ok();
    assert!(
        again.stderr.contains("keep    shop/db, auth/api, shop/web"),
        "an edit of synced code changes nothing: {again}"
    );
}

#[test]
fn up_again_makes_only_what_changed_anew() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let before = dev.port("shop", "shop/db");
    let manifest = dev.read("shop/onramp.toml").replace("DB_HOST = \"db\"", "DB_HOST = \"db\", COLOUR = \"blue\"");
    dev.write("shop/onramp.toml", manifest);
    let plan = dev.in_shop("up --dry-run --json").ok().json();
    let actions: Vec<String> =
        plan["services"].as_array().unwrap().iter().map(|s| format!("{} {}", s["service"], s["action"])).collect();
    assert_eq!(actions, ["\"shop/db\" \"keep\"", "\"auth/api\" \"keep\"", "\"shop/web\" \"replace\""]);
    assert!(!plan.to_string().contains("DB_PASSWORD"), "a plan shows no variables, secrets are among them");
    dev.in_shop("up").ok();
    assert_eq!(dev.port("shop", "shop/db"), before, "the database was left alone");
    assert!(dev.in_shop("exec web -- printenv COLOUR").ok().stdout.contains("blue"));
    let parity = dev.in_shop("parity").ok();
    assert!(parity.stdout.contains("env.COLOUR"), "{parity}");
}

#[test]
fn a_migration_runs_before_its_image_takes_over_and_where_it_fails_nothing_does() {
    let dev = Developer::new();
    dev.shop();
    let copied = dev
        .read("shop/onramp.toml")
        .replace("\"src\" = \"/var/www/html\"", "\"src\" = { target = \"/var/www/html\", mode = \"copy\" }");
    let migrate = |code: u8| {
        format!("[services.web]\nmigrate = [\"sh\", \"-c\", \"php /var/www/html/migrate.php && exit {code}\"]")
    };
    let add = "<?php require __DIR__ . '/lib/database.php'; connect()->exec(\"UPDATE products SET name = CONCAT(name, '!')\");";
    dev.write("shop/src/migrate.php", add);
    dev.write("shop/onramp.toml", copied.replace("[services.web]", &migrate(0)));
    let up = dev.in_shop("up").ok();
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen!"), "it ran once, on the seeded data: {up}");
    assert!(dev.in_shop("up").ok().stderr.contains("keep    shop/db, auth/api, shop/web"));
    assert!(!dev.page("shop", "shop/web", "/").contains("Fountain pen!!"), "and not again");

    let port = dev.port("shop", "shop/web");
    dev.write("shop/onramp.toml", copied.replace("[services.web]", &format!("{}\nuser = \"root\"", migrate(3))));
    let failed = dev.in_shop("up").fails(Class::Failed);
    assert!(failed.stderr.contains("shop/web") && failed.stderr.contains("exit code 3"), "{failed}");
    assert_eq!(dev.port("shop", "shop/web"), port, "what ran goes on");
    let left = engine::containers(&format!("onramp.{}.", engine::sandbox_of(&dev.path("shop"))));
    assert_eq!(left.len(), 3, "nothing is left of the migration: {left:?}");
}

#[test]
fn data_outlives_down_and_goes_when_asked() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    dev.in_shop("exec db -- mariadb shop -e").arg("DELETE FROM products WHERE name LIKE 'Fountain%'").ok();
    dev.in_shop("down").ok();
    assert!(dev.in_shop("status").ok().stdout.contains("is not up"));
    dev.in_shop("up").ok();
    assert!(!dev.page("shop", "shop/web", "/").contains("Fountain pen"), "the deleted row stays deleted");

    let refused = dev.in_shop("down --data").fails(Class::Usage);
    assert!(refused.stderr.contains("--yes"), "nobody is asked without a terminal: {refused}");
    dev.in_shop("down --data --yes").ok();
    dev.in_shop("up").ok();
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"), "seeded anew");
}

#[test]
fn a_sandbox_keeps_one_image_of_what_it_builds() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let first = engine::images_of(&dev.path("shop"));
    dev.write("shop/Dockerfile", format!("{}ENV COLOUR=blue\n", dev.read("shop/Dockerfile")));
    dev.in_shop("up").ok();
    let second = engine::images_of(&dev.path("shop"));
    assert_eq!((first.len(), second.len()), (1, 1), "{first:?} {second:?}");
    assert_ne!(first, second, "another Dockerfile is another image");
    dev.in_shop("down").ok();
    assert_eq!(engine::images_of(&dev.path("shop")), second, "down keeps it for the next up");
    dev.in_shop("down --data --yes").ok();
    assert!(engine::images_of(&dev.path("shop")).is_empty());
}

#[test]
fn two_branches_have_two_sandboxes() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let main = dev.port("shop", "shop/web");
    dev.git("shop", &["worktree", "add", "--quiet", "-b", "feature", "../feature"]);
    dev.project("feature");
    dev.write("feature/src/index.php", dev.read("feature/src/index.php").replace("Our products", "Feature"));
    dev.onramp("up").dir("feature").ok();
    assert_ne!(dev.port("feature", "shop/web"), main);
    assert!(dev.page("feature", "shop/web", "/").contains("<h1>Feature</h1>"));
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Our products</h1>"), "the other one is as it was");
    dev.onramp("down --data --yes").dir("feature").ok();
    assert!(dev.page("shop", "shop/web", "/").contains("<h1>Our products</h1>"), "and stays up");
}

#[test]
fn tests_run_in_the_sandbox_and_red_is_failed() {
    let dev = Developer::new();
    dev.shop();
    let green = dev.in_shop("test --junit report.xml").ok();
    assert!(green.stdout.contains("ok 4 - the page lists a product of the database"), "{green}");
    let report = dev.read("shop/report.xml");
    assert!(report.contains("<testsuite name=\"shop\" tests=\"2\" failures=\"0\" skipped=\"0\">"), "{report}");

    let format = dev.read("shop/src/lib/format.php").replace("100, 2)", "100, 3)");
    assert_ne!(format, dev.read("shop/src/lib/format.php"));
    dev.write("shop/src/lib/format.php", format);
    let red = dev.in_shop("test unit --json").fails(Class::Failed).json();
    assert_eq!(red["passed"], false);
    assert_eq!(red["tests"].as_array().unwrap().len(), 1, "only the one that was asked for");
    assert_eq!(red["parity"]["score"]["percent"], 86, "{red:#}");
    let unknown = dev.in_shop("test unti").fails(Class::Usage);
    assert!(unknown.stderr.contains("did you mean `unit`?"), "{unknown}");
}

#[test]
fn services_are_looked_into_by_name() {
    let dev = Developer::new();
    dev.shop();
    assert!(dev.in_shop("logs").fails(Class::Usage).stderr.contains("next: onramp up"));
    dev.in_shop("up").ok();
    assert!(dev.in_shop("logs auth/api --tail 5").ok().stdout.contains("GET /health"));
    let run = dev.in_shop("exec web --json -- sh -c").arg("echo out; echo err >&2; exit 7").exits(7).json();
    assert_eq!((run["stdout"].as_str(), run["stderr"].as_str()), (Some("out\n"), Some("err\n")));
    let piped = dev.in_shop("exec db -- mariadb shop -N").stdin("SELECT COUNT(*) FROM products;\n").ok();
    assert_eq!(piped.stdout.trim(), "5", "what is piped in reaches the program");
    let unknown = dev.in_shop("exec wbe -- true").fails(Class::Usage);
    assert!(unknown.stderr.contains("it has: auth/api, shop/db, shop/web"), "{unknown}");
}

#[test]
fn logs_are_merged_by_time_and_cut_by_it() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    for (service, words) in [("web", "mark one"), ("auth/api", "mark two"), ("web", "mark three"), ("auth/api", "end")]
    {
        dev.in_shop(&format!("exec {service} -- sh -c")).arg(format!("echo '{words}' > /proc/1/fd/1")).ok();
    }
    let marks = dev.in_shop("logs --grep").arg("^mark (one|t.*)$").ok().stdout;
    assert_eq!(marks, "shop/web mark one\nauth/api mark two\nshop/web mark three\n");
    let document = dev.in_shop("logs --json --grep mark").ok().json();
    let two = document["lines"].as_array().unwrap().iter().find(|line| line["text"] == "mark two").unwrap().clone();
    let since = two["at"].as_str().unwrap();
    assert!(!since.ends_with("00Z"), "{since} is finer than a second");
    let told = dev.in_shop("logs --grep mark --since").arg(since).ok().stdout;
    assert_eq!(told, "auth/api mark two\nshop/web mark three\n");
    assert_eq!(dev.in_shop("logs auth/api --since 1h --tail 1").ok().stdout, "auth/api end\n");
    let coloured = dev.in_shop("logs --color always --grep mark").ok().stdout;
    assert!(coloured.contains("\u{1b}[36mauth/api\u{1b}[0m mark two"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[33mshop/web\u{1b}[0m mark one"), "{coloured:?}");
    dev.in_shop("logs --since soon").fails(Class::Usage);
    dev.in_shop("logs --grep (").fails(Class::Usage);
}

#[test]
fn parts_run_too() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("add cache").ok();
    dev.in_shop("add mail").ok();
    dev.in_shop("up").ok();
    let tests = dev.in_shop("test unit").ok();
    assert!(tests.stdout.contains("passed"), "{tests}");
    assert!(tests.stdout.to_lowercase().contains("cache"), "the cache's own tests ran: {tests}");
    assert!(dev.page("shop", "shop/mail", "/health").starts_with("HTTP/1.0 200"));
    let pong = dev.in_shop("exec cache -- redis-cli ping").ok();
    assert_eq!(pong.stdout.trim(), "PONG");
}

#[test]
fn what_a_killed_up_left_the_next_one_takes_on() {
    let dev = Developer::new();
    dev.shop();
    let mut killed = engine::until_created(&dev.path("shop"), || dev.in_shop("up").start());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let up = dev.in_shop("up").ok();
    assert!(up.stdout.contains("shop/web"), "{up}");
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
}

#[test]
fn a_network_that_a_killed_up_asked_for_and_that_came_late_is_no_hindrance() {
    let dev = Developer::new();
    dev.shop();
    dev.in_shop("up").ok();
    let name = engine::sandbox_of(&dev.path("shop")).network();
    engine::imitate_network(&name);
    assert_eq!(engine::networks_named(&name), 2);
    dev.in_shop("up").ok();
    assert_eq!(engine::networks_named(&name), 1);
    assert!(dev.page("shop", "shop/web", "/").contains("Fountain pen"));
    engine::imitate_network(&name);
    dev.in_shop("down").ok();
    assert_eq!(engine::networks_named(&name), 0);
}

#[test]
fn two_ups_at_once_are_told_apart() {
    let dev = Developer::new();
    dev.shop();
    let mut first = engine::until_created(&dev.path("shop"), || dev.in_shop("up").start());
    let second = dev.in_shop("up").fails(Class::Conflict);
    assert!(second.stderr.contains("another onramp is at work on sandbox shop-main-"), "{second}");
    assert!(first.wait().unwrap().success(), "the first one is not disturbed");
}
