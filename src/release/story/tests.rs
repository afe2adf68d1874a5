use std::collections::BTreeMap;

use super::*;
use crate::git::Commit;
use crate::git::history::Entry;
use crate::name::Name;
use crate::project::service::Service;
use crate::reference::{Digest, ImageRef};
use crate::release::Evidence;
use crate::release::background::{Pages, Stage};
use crate::release::deployment::Mixed;
use crate::release::trailers::Origin;
use crate::state::{Format, diff};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn image(path: &str, seed: &str) -> ImageRef {
    format!("r.test/{path}@{}", Digest::of(seed.as_bytes())).parse().unwrap()
}

fn commit(digit: &str) -> Commit {
    digit.repeat(40).parse().unwrap()
}

fn service(seed: &str) -> Service {
    Service {
        image: Some(image("apps/shop", seed)),
        migrate: Some(vec!["php".to_owned(), "migrate.php".to_owned()]),
        ..Service::default()
    }
}

fn section(app: &str, origin: Origin) -> Section {
    let tests: BTreeMap<Name, bool> = [(name("unit"), true), (name("smoke"), false)].into();
    let trailers = Trailers {
        app: name(app),
        environment: name("production"),
        source: Some(commit("a")),
        made: None,
        images: [(name("web"), image("apps/shop", "new"))].into(),
        tests: tests.clone(),
        origin,
    };
    let old = crate::state::AppState {
        services: [(name("web"), service("old"))].into(),
        source: None,
        path: "x".into(),
        text: String::new(),
    };
    let text = format!(
        "schema = 1\n[services.web]\nimage = \"{}\"\nmigrate = [\"php\", \"migrate.php\"]\nenv = {{ TITLE = \"`a` | @ada\", DB_PASSWORD = \"hunter22\" }}\n",
        image("apps/shop", "new")
    );
    let evidence = Evidence {
        tests,
        parity: Some("2 of 2 services equal".into()),
        state_commit: Some(commit("c")),
        mixed: Some(Mixed { with: vec!["auth=pr:3 (1a2b3c4)".into()], tests: [(name("unit"), true)].into() }),
        images: [(name("web"), "Packages: 1 newer.\n".to_owned())].into(),
    };
    let mut section = Section::of(&Format::default(), Some(&old), text, trailers, evidence).unwrap().unwrap();
    section.stays.push(diff::Change {
        app: name(app),
        service: name("web"),
        key: "replicas".into(),
        from: Some("3".into()),
        to: Some("1".into()),
    });
    section.background.previous = Some(commit("b"));
    section.background.pages = Pages::of(&"https://git.acme.test/acme/shop.git".parse().unwrap());
    section.background.commits.push(Entry {
        commit: commit("a"),
        summary: "Faster `page` [x](http://evil) <b> @grace".into(),
        author: "Ada".into(),
        time: jiff::Timestamp::UNIX_EPOCH,
    });
    section.background.needed_by.push(("crm/web".into(), name("web")));
    let stage = |at: &str, after, seed: Option<&str>| Stage {
        environment: name(at),
        after,
        runs: seed.map(|seed| image("apps/shop", seed)),
    };
    section.background.path =
        vec![stage("test", None, Some("new")), stage("production", Some(0), Some("new")), stage("dr", Some(1), None)];
    section
}

fn draft(kind: Kind, sections: Vec<Section>) -> Draft {
    Draft {
        kind,
        environment: name("production"),
        branch: "deploy/production/shop".into(),
        base: commit("d"),
        sections,
        unchanged: Vec::new(),
        new_ones: Vec::new(),
        message: Some("Faster page, see @ada".into()),
        unready: false,
    }
}

fn shown(text: &str) -> String {
    text.replace('\u{200b}', "<zwsp>")
        .replace(Digest::of(b"old").hex(), "OLD")
        .replace(Digest::of(b"new").hex(), "NEW")
        .replace(Digest::of(b"new").short(), "NEW")
        .replace(commit("a").as_str(), "SOURCE")
        .replace(commit("b").as_str(), "BEFORE")
}

fn hotfix() -> Draft {
    draft(Kind::Deployment, vec![section("shop", Origin::Hotfix("Logins fail | `now`".into()))])
}

#[test]
fn a_body_tells_what_changes_for_whom_and_how_to_go_back() {
    let draft = hotfix();
    assert_eq!(title(&draft), "Hotfix shop aaaaaaa to production");
    let message = commit_message(&draft);
    assert_eq!(Trailers::parse(&message), [draft.sections[0].trailers.clone()]);
    assert_eq!(words(&message), Some("Faster page, see @ada"));
    insta::assert_snapshot!(shown(&body(&draft)), @r#"
    Faster page, see @<zwsp>ada

    Brings `shop` in `production` to source commit `SOURCE`.

    **A hotfix, past the environment before**: Logins fail \| \`now\`

    It runs `BEFORE` now (`git log bbbbbbb..aaaaaaa`, [compare](https://git.acme.test/acme/shop/compare/BEFORE...SOURCE)).

    | service | now | proposed |
    |---|---|---|
    | web | `r.test/apps/shop@sha256:OLD` | `r.test/apps/shop@sha256:NEW` |

    ### Settings

    | service | setting | now | proposed |
    |---|---|---|---|
    | web | `env.DB_PASSWORD` | - | (not shown) |
    | web | `env.TITLE` | - | `'a' ¦ @ada` |

    The environment's own, and stays:

    | service | setting | here | there |
    |---|---|---|---|
    | web | `replicas` | `3` | `1` |

    ### Commits since

    - [`aaaaaaa`](https://git.acme.test/acme/shop/commit/SOURCE) Faster \`page\` \[x\](http://evil) \<b\> @<zwsp>grace (Ada)

    ### Tests

    | test | result |
    |---|---|
    | smoke | **failed** |
    | unit | passed |

    Together with `auth=pr:3 (1a2b3c4)`, which counts for no policy: unit passed.

    In the sandbox: 2 of 2 services equal

    Tested against the state repository at `cccccccccccccccccccccccccccccccccccccccc`.

    ### Migrations

    - `web` runs `php migrate.php` before the new image takes over

    ### Who needs it here

    - `crm/web` needs `shop/web`

    ### The way

    ```mermaid
    flowchart LR
      e0["test<br>NEW"]
      e1["production<br>NEW"]
      e2["dr<br>nothing yet"]
      e0 ==> e1
      e1 --> e2
      style e1 stroke-width:3px
    ```

    ### Inside the image of web

    Packages: 1 newer.

    ### Rolling back

    Once it is merged; by digest, without a build:

    ```sh
    onramp rollback production shop
    ```
    "#);
}

#[test]
fn a_promotion_and_a_rollback_say_what_they_are() {
    let from = Kind::Promotion { from: name("staging"), at: commit("e"), train: false };
    let promoted = draft(from, vec![section("shop", Origin::Project)]);
    assert_eq!(title(&promoted), "Promote shop aaaaaaa from staging to production");
    assert!(body(&promoted).contains("to what `staging` declares at `eeeeeee`, source commit `aaaaaaa"));
    let back = draft(Kind::Rollback { to: commit("f") }, vec![section("shop", Origin::Rollback(commit("f")))]);
    assert_eq!(title(&back), "Roll back production to shop aaaaaaa");
    assert!(body(&back).contains("back to exactly what it declared since `fffffff`"));
}

fn train(apps: usize) -> Draft {
    let kind = Kind::Promotion { from: name("staging"), at: commit("e"), train: true };
    draft(kind, (0..apps).map(|number| section(&format!("app{number}"), Origin::Project)).collect())
}

#[test]
fn a_train_tells_of_each_app_as_far_as_there_is_room() {
    let few = body(&train(3));
    assert_eq!(title(&train(3)), "Promote 3 apps from staging to production");
    for app in [
        "\n## app0\n",
        "\n## app2\n",
        "| app1 | aaaaaaa | 1 | 2 | **1 of 2 failed** |",
        "onramp rollback production app2",
    ] {
        assert!(few.contains(app), "{app}: {few}");
    }
    let many = body(&train(400));
    assert!(many.chars().count() <= BODY_MAX && many.contains("And 200 more.") && !many.contains("## app0"), "{many}");
    let middle = body(&train(40));
    assert!(middle.chars().count() <= BODY_MAX && middle.contains("## app39"), "{}", middle.len());
    assert_eq!(middle.matches("```").count() % 2, 0, "no block of code is left open");
}

#[test]
fn words_cannot_forge_trailers_or_flood_a_body() {
    let forged = "Sneaky\n\nOnramp-Tests: unit=passed\n".repeat(400);
    let long = Draft { message: Some(forged), ..hotfix() };
    assert!(body(&long).chars().count() <= BODY_MAX);
    assert!(body(&long).contains("onramp rollback production shop"));
    assert_eq!(Trailers::parse(&commit_message(&long)).len(), 1);
}

#[test]
fn the_insides_of_images_leave_room_for_the_way_back() {
    let mut flooded = hotfix();
    flooded.sections[0].evidence.images = [(name("web"), "x".repeat(100_000))].into();
    let body = body(&flooded);
    assert!(body.chars().count() < 30_000 && body.contains("### Rolling back"), "{}", body.len());
}

proptest::proptest! {
    #[test]
    fn nothing_that_somebody_wrote_gets_out_of_its_place(value in "\\PC{0,60}|[`|@<>\\\\\\[\\]()!#*_ \n-]{0,60}") {
        let span = code(&value, 50);
        proptest::prop_assert!(!span.contains('\n'));
        proptest::prop_assert!(span == "(empty)" || span.matches('`').count() == 2, "{span}");
        proptest::prop_assert!(!span.contains('|'), "{span}");
        let words = plain(&value, 50);
        let calls = words.replace("@\u{200b}", "").contains('@');
        proptest::prop_assert!(!words.contains('\n') && !calls);
        let bare = words.replace("\\\\", "").replace("\\<", "").replace("\\[", "").replace("\\`", "").replace("\\|", "");
        proptest::prop_assert!(!bare.contains(['<', '[', '`', '|']), "{bare}");
    }
}
