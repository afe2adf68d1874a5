//! A draft, proposed to a server that does not understand it as one.

use std::collections::BTreeMap;
use std::time::Duration;

use onramp::error::{Class, Fault};
use onramp::registry::Access;
use onramp::release::promotion::{self, Route, Which};
use onramp::release::proposal::{self, Merging, Place};

use crate::fixture::{Company, declaration, identity, name};
use crate::gitea::gitea;
use crate::server::{answer, scripted};

const RULES: &str = "schema = 1\n[[environment]]\nname = \"test\"\n[[environment]]\nname = \"production\"\nafter = \"test\"\npolicy = { merge = \"auto\" }\n";

/// A Gitea whose app.ini names other prefixes takes ours for words. What was to wait is not merged, though policy lets it through.
#[tokio::test]
async fn what_was_to_wait_is_not_merged_by_misunderstanding() {
    let (test, production) = ("environments/test/shop.toml", "environments/production/shop.toml");
    let company =
        Company::with(&[("state.toml", RULES), (test, &declaration("new")), (production, &declaration("old"))]);
    let state = company.state("ada");
    let head = state.head().unwrap();
    let route = Route { from: name("test"), at: head.clone(), to: name("production") };
    let mut draft = promotion::draft(&state, &head, &route, &Which::One(name("shop"))).unwrap();
    draft.unready = true;

    let ready = format!(
        r#"{{"number":1,"title":"WIP: T","draft":false,"html_url":"https://h/1","state":"open","merged":false,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{{"ref":"h","sha":"{head}","repo_id":3}},"base":{{"ref":"main","sha":"","repo_id":3}}}}"#
    );
    let server = scripted(vec![answer("200 OK", "", "[]"), answer("201 Created", "", &ready)]);
    let (forge, registries, me) =
        (gitea(server.port), Access::new(Duration::from_secs(5), BTreeMap::new()), identity("ada"));
    let place = Place { state: &state, forge: &forge, registries: &registries, me: &me, secrets: &[] };
    let error = proposal::propose(&place, draft, Merging::Policy).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.class()),
        ("the forge did not make pull request 1 a draft", Class::Config)
    );
    assert!(error.hint().unwrap().contains("app.ini"));
    let title = server.sent("title");
    assert!(title.len() == 1 && title[0].starts_with("WIP: Promote shop "), "{title:?}");
    assert_eq!(server.lines().len(), 2, "nothing was merged: {:?}", server.lines());
}
