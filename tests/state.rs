//! The state repository over `file://`: what is read, what is wrong, what history tells.

mod fixture;

use fixture::{Company, RULES, declaration, image, name};
use onramp::error::{Class, Fault};
use onramp::git::Commit;
use onramp::release::provenance;

#[test]
fn an_environment_is_read_at_a_named_commit() {
    let company = Company::with(&[("state.toml", RULES), ("environments/production/shop.toml", &declaration("one"))]);
    let state = company.state("ada");
    let first = state.head().unwrap();
    company.push(&[("environments/production/shop.toml", &declaration("two"))], "By hand");
    state.refresh(false).unwrap();
    let second = state.head().unwrap();

    let at = |commit: &Commit| state.app(commit, &name("production"), &name("shop")).unwrap().unwrap();
    assert_eq!(at(&first).services["web"].image, Some(image("apps/shop", "one")));
    assert_eq!(at(&second).services["web"].image, Some(image("apps/shop", "two")));
    assert_eq!(at(&first).path, "environments/production/shop.toml");
    assert_eq!(state.app(&first, &name("test"), &name("shop")).unwrap(), None);
    assert_eq!(state.apps(&first, &name("production")).unwrap(), [name("shop")]);
    assert_eq!(state.everything(&first, &name("production")).unwrap()[0].1, at(&first));
}

#[test]
fn mistakes_name_the_file_and_the_commit() {
    let company =
        Company::with(&[("state.toml", RULES), ("environments/test/shop.toml", "schema = 1\n[services.web]\n")]);
    let state = company.state("ada");
    let head = state.head().unwrap();
    let error = state.app(&head, &name("test"), &name("shop")).unwrap_err();
    let place = format!("environments/test/shop.toml at {}:2:1: services.web: `image` is missing", head.short());
    assert_eq!((error.to_string(), error.class()), (place, Class::Config));

    let error = state.app(&head, &name("prodution"), &name("shop")).unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    assert_eq!(error.hint().unwrap(), "did you mean `production`? state.toml has: test, production");
}

#[test]
fn a_repository_without_rules_is_no_state_repository() {
    let company = Company::with(&[("README", "x")]);
    let state = company.state("ada");
    let error = state.rules(&state.head().unwrap()).unwrap_err();
    assert!(error.to_string().contains("has no state.toml"), "{error}");
    assert_eq!(error.class(), Class::Config);
}

#[test]
fn an_unreachable_repository_is_a_network_failure_and_offline_needs_a_fetch() {
    let cache = tempfile::tempdir().unwrap();
    let open = || {
        let url = "file:///nonexistent/state.git".parse().unwrap();
        onramp::state::State::open(cache.path(), url, onramp::git::Wanted::Branches)
    };
    assert_eq!(open().refresh(true).unwrap_err().class(), Class::Net);
    assert_eq!(open().refresh(false).unwrap_err().class(), Class::Net);
}

#[test]
fn a_digest_soaks_since_it_was_last_brought_back() {
    let path = "environments/test/shop.toml";
    let company = Company::with(&[("state.toml", RULES)]);
    let with_port = declaration("one").replace("port = 80", "port = 8080");
    for (text, at) in [
        (declaration("one"), "2026-02-01T00:00:00Z"),
        (declaration("two"), "2026-02-02T00:00:00Z"),
        (declaration("one"), "2026-02-03T00:00:00Z"),
        (with_port, "2026-02-04T00:00:00Z"),
    ] {
        company.push_at(&[(path, &text)], "By hand", at);
    }
    let state = company.state("ada");
    let since = |seed: &str| {
        let image = image("apps/shop", seed);
        let head = state.head().unwrap();
        let (test, shop, web) = (name("test"), name("shop"), name("web"));
        provenance::declared_since(&state, &head, &test, &shop, &web, image.digest().unwrap()).unwrap()
    };
    assert_eq!(since("one").unwrap().to_string(), "2026-02-03T00:00:00Z");
    assert_eq!(since("two"), None, "it is not declared now");
}
