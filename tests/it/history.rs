//! `release history` and `release metrics`: what git tells of the past. No engine is asked.

use jiff::{SignedDuration, Timestamp};
use onramp::error::Class;

use crate::released::{RULES, Released, declaration, image};

const SHOP: &str = "environments/production/shop.toml";

#[test]
fn everything_that_happened_is_told_newest_first() {
    let mut released = Released::with(RULES);
    released.deployed("test", "shop", "one", "");
    released.at("2026-01-03T09:00:00Z");
    let at = released.git("state", &["rev-parse", "HEAD"]);
    released.changed("production", "shop", "one", "", &format!("Onramp-Promoted: test@{}\n", at.trim()));
    let first = released.git("state", &["rev-parse", "HEAD"]);
    released.at("2026-01-04T09:00:00Z");
    released.changed("production", "shop", "two", "", "Onramp-Override: after: Logins fail | since\n");
    released.at("2026-01-04T09:20:00Z");
    released.changed("production", "shop", "one", "", &format!("Onramp-Rollback: {}\n", first.trim()));
    released.at("2026-01-05T09:00:00Z");
    // Trailers that somebody wrote by hand, of an image that is not there, tell nothing.
    let words = format!(
        "More of them\n\nOnramp-App: shop\nOnramp-Environment: production\nOnramp-Source: {}\nOnramp-Source-Time: 2026-01-05T08:59:00Z\nOnramp-Image: web={}\n",
        at.trim(),
        image("shop", "two")
    );
    released.by_hand(&[(SHOP, &declaration("shop", "one", "replicas = 5\n")), ("README.md", "words\n")], &words);
    released.git("state", &["rm", "-q", "environments/test/shop.toml"]);
    released.git("state", &["commit", "-q", "-m", "No shop there"]);
    released.git("state", &["push", "-q", "origin", "HEAD:main"]);
    insta::assert_snapshot!(released.onramp("release history").ok().stdout, @r"
    when               app   environment  what                         source   took   who  pull
    2026-01-05 09:00Z  shop  test         removed                      -        -      Dev  -
    2026-01-05 09:00Z  shop  production   by hand                      -        -      Dev  -
    2026-01-04 09:20Z  shop  production   rollback                     [COMMIT]  3.2 d  Dev  -
    2026-01-04 09:00Z  shop  production   hotfix: Logins fail | since  [COMMIT]  3.2 d  Dev  -
    2026-01-03 09:00Z  shop  production   promote from test            [COMMIT]  2.2 d  Dev  -
    2026-01-02 03:04Z  shop  test         deploy                       [COMMIT]  1.0 d  Dev  -
    ");
    insta::assert_snapshot!(released.onramp("release history shop production -n 2").ok().stdout, @r"
    when               app   environment  what      source   took   who  pull
    2026-01-05 09:00Z  shop  production   by hand   -        -      Dev  -
    2026-01-04 09:20Z  shop  production   rollback  [COMMIT]  3.2 d  Dev  -
    ");
    assert_eq!(released.onramp("release history auth").ok().stdout, "nothing was deployed\n");
    released.onramp("release history shop live").fails(Class::Usage);

    // What onramp proposes and somebody else merges.
    released.onramp("rollback production shop --to").arg(first.trim()).ok();
    released.onramp("pr merge 1").env("GIT_AUTHOR_NAME", "Grace").env("GIT_AUTHOR_EMAIL", "grace@acme.test").ok();
    let told = released.onramp("release history -n 1 --json").ok().json();
    let last = &told["history"][0];
    assert_eq!((&last["kind"], &last["pull"]), (&"rollback".into(), &1.into()), "{last}");
    assert_eq!((&last["by"], &last["merged_by"]), (&"Dev".into(), &"Grace".into()), "{last}");
    assert!(last["lead"].as_i64() > Some(0) && last["changes"].as_array().unwrap().is_empty(), "{last}");
}

#[test]
fn four_figures_as_text_as_json_and_as_a_page() {
    let mut released = Released::with(RULES);
    let now = Timestamp::now();
    let ago = |days: i64, minutes: i64| {
        let back = SignedDuration::from_mins(days * 24 * 60 - minutes);
        now.checked_sub(back).unwrap().strftime("%FT%TZ").to_string()
    };
    let times = [ago(20, 0), ago(10, 0), ago(10, 30), ago(5, 0)];
    released.at(&times[0]).deployed("production", "shop", "one", "");
    let first = released.git("state", &["rev-parse", "HEAD"]);
    released.at(&times[1]).deployed("production", "shop", "two", "");
    released.at(&times[2]).changed("production", "shop", "one", "", &format!("Onramp-Rollback: {}\n", first.trim()));
    released.at(&times[3]).deployed("production", "auth", "one", "");
    let told = released.onramp("release metrics --since 28d --json --html").arg("page.html").ok().json();
    let metrics = &told["metrics"];
    assert_eq!(metrics["environment"], "production", "the last one");
    assert_eq!(metrics["deployment_frequency"]["count"], 3);
    assert_eq!(metrics["deployment_frequency"]["per_week"], 0.75);
    assert_eq!(
        (&metrics["change_failure_rate"]["failed"], &metrics["change_failure_rate"]["rate"]),
        (&1.into(), &0.333.into())
    );
    assert_eq!(
        (&metrics["time_to_restore"]["median"], &metrics["time_to_restore"]["known"]),
        (&1800.into(), &1.into())
    );
    assert_eq!(metrics["lead_time"]["known"], 3);
    let page = released.read("page.html");
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n") && !page.contains("<script"), "{page}");
    assert_eq!(page.matches("<circle").count(), 3);
    let text = released.onramp("release metrics auth --since 28d").ok();
    assert!(
        text.stdout.contains("deployment frequency   0.25 a week") && text.stdout.contains("time to restore        -"),
        "{text}"
    );
    assert_eq!(released.onramp("release metrics --env test --json").ok().json()["metrics"]["lead_time"]["known"], 0);
}
