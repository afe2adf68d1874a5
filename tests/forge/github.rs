//! GitHub's API as GitHub itself describes it: Prism serves its `OpenAPI` description, refuses requests that do not match
//! it, and answers with its examples. Faults that an example cannot show come from a small server in the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onramp::error::{Class, Fault};
use onramp::forge::github::{GitHub, app, draft};
use onramp::forge::token::Token;
use onramp::forge::{Checked, Error, Forge, Outcome, Place, Proposal, Reviewer, Standing, Status};
use onramp::settings::ForgeKind;

use crate::prism::{Prism, home, status_of};
use crate::server::{answer, scripted};
use crate::{proposal, status, words};

/// The forge at a server of this machine.
pub fn github(port: u16) -> GitHub {
    let api = format!("http://127.0.0.1:{port}");
    let repository = format!("{api}/acme/state.git").parse().unwrap();
    let place = Place::of(ForgeKind::Github, Some(&api), &repository).unwrap();
    let token = Token::new("ghp_secret", "GH_TOKEN").unwrap();
    GitHub::new(place, token, Duration::from_secs(20)).unwrap()
}

fn prism() -> &'static Prism {
    static PRISM: OnceLock<Prism> = OnceLock::new();
    PRISM.get_or_init(|| Prism::start(&description()))
}

/// What onramp asks for, of the more than six hundred paths that Prism would read for ten seconds. A path that is not among
/// them does not answer.
const USED: [&str; 9] = [
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/issues/{issue_number}/comments",
    "/repos/{owner}/{repo}/issues/{issue_number}/labels",
    "/repos/{owner}/{repo}/branches/{branch}",
    "/repos/{owner}/{repo}/commits/{ref}/",
    "/repos/{owner}/{repo}/installation",
    "/repos/{owner}/{repo}/statuses/{sha}",
    "/orgs/{org}/repos",
    "/app/installations/{installation_id}/access_tokens",
];

/// GitHub Enterprise's description of these paths, but for one thing: the example of a `Link` header, which sends every
/// reader of page one to a next page on api.github.com.
fn description() -> PathBuf {
    let original = home().join("node_modules/@octokit/openapi/generated/ghes-3.19.json");
    let mut description: serde_json::Value = serde_json::from_slice(&std::fs::read(original).unwrap()).unwrap();
    let link = description["components"]["headers"]["link"].as_object_mut().unwrap();
    assert!(link.remove("example").is_some());
    description["paths"].as_object_mut().unwrap().retain(|path, _| USED.iter().any(|used| path.starts_with(used)));
    description.as_object_mut().unwrap().remove("x-webhooks");
    let path = home().join("ghes-3.19-as-used.json");
    std::fs::write(&path, serde_json::to_vec(&description).unwrap()).unwrap();
    path
}

fn contract(prefer: Option<&'static str>) -> GitHub {
    github(prefer.map_or_else(|| prism().port, |prefer| prism().preferring(prefer)))
}

/// The head of its pull requests.
pub const HEAD: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

#[tokio::test]
async fn every_request_is_one_that_github_describes() {
    let github = contract(None);
    let listed = github.list().await.unwrap();
    assert_eq!((listed[0].number, listed[0].state, listed[0].head_commit.as_str()), (1347, Standing::Open, HEAD));
    assert_eq!(github.find_open("deploy/test/shop").await.unwrap().unwrap().number, 1347);

    let pull = github.get(1347).await.unwrap();
    assert_eq!((pull.author.id.as_str(), pull.title.as_str()), ("octocat", "Amazing new feature"));
    assert_eq!(pull.approvals[0].by.id, "octocat");
    assert_eq!(pull.approved_by().count(), 0, "the example's review is of another commit than its head");
    assert_eq!(pull.makers, ["octocat"]);

    assert_eq!(github.create(proposal()).await.unwrap().number, 1347);
    assert_eq!(github.create(Proposal { draft: true, ..proposal() }).await.unwrap().number, 1347);
    assert_eq!(github.update(1347, words(false)).await.unwrap().number, 1347);
    let asked = vec![Reviewer::Login("octocat".into()), Reviewer::Team("justice-league".into())];
    let pull = github.ask_review(1347, asked).await.unwrap();
    assert_eq!(pull.reviewers, ["octocat", "hubot", "other_user", "justice-league"], "as its example has them");
    // Whom GitHub does not know is asked nothing, and is not in the answer.
    let pull = github.ask_review(1347, vec![Reviewer::Mail("ana@acme.test".into())]).await.unwrap();
    assert!(!pull.reviewers.contains(&"ana@acme.test".to_owned()));
    assert_eq!(github.approve(1347, &HEAD.parse().unwrap()).await.unwrap().number, 1347);

    assert_eq!(github.label(1347, vec!["bug".into()]).await.unwrap().labels, ["bug"]);
    let checks = github.checks(&pull).await.unwrap();
    let checks: Vec<(&str, Outcome)> = checks.iter().map(|check| (check.name.as_str(), check.outcome)).collect();
    let names = ["mighty_readme", "continuous-integration/jenkins", "security/brakeman"];
    assert_eq!(checks, names.map(|name| (name, Outcome::Passed)));

    let head = HEAD.parse().unwrap();
    assert!(github.say(&head, &status()).await.unwrap());
    // What its example has been told already is not told again.
    let same = Status {
        context: "continuous-integration/jenkins".into(),
        passed: true,
        description: "Build has completed successfully".into(),
    };
    assert!(!github.say(&head, &same).await.unwrap());
    assert!(github.say(&head, &Status { passed: false, ..same }).await.unwrap());

    let said = github.comments(1347).await.unwrap();
    assert_eq!((said[0].by.id.as_str(), said[0].body.as_str()), ("octocat", "Me too"));
    github.comment(1347, "Superseded by #1348".into()).await.unwrap();
    // The description's example stays open whatever one does; that closing closes is below.
    assert_eq!(github.close(1347, "Superseded by #1348".into()).await.unwrap().number, 1347);
}

const PULL: &str = r#"{"number":1,"title":"T","body":null,"html_url":"https://h/1","state":"STATE","merged_at":null,"comments":COMMENTS,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{"ref":"h","sha":"HEAD"},"base":{"ref":"main","sha":"HEAD"}}"#;

fn pull(state: &str, comments: usize) -> String {
    let pull = PULL.replace("STATE", state).replace("COMMENTS", &comments.to_string()).replace("HEAD", HEAD);
    answer("200 OK", "", &pull)
}

#[tokio::test]
async fn closing_says_why_first_and_once() {
    let nothing = || answer("200 OK", "", "[]");
    let said = r#"[{"user":null,"created_at":"2026-01-01T00:00:00Z","body":"Superseded by #2"}]"#;
    // Killed between the words and the end: the next one goes on where that one ended. 250 comments are three pages.
    let server = scripted(vec![
        pull("open", 250),
        nothing(),
        pull("open", 250),
        answer("200 OK", "", said),
        pull("closed", 250),
        nothing(),
    ]);
    let closed = github(server.port).close(1, "Superseded by #2\n".into()).await.unwrap();
    assert_eq!(closed.state, Standing::Closed);
    assert_eq!(
        server.lines(),
        [
            "GET /repos/acme/state/pulls/1",
            "GET /repos/acme/state/pulls/1/reviews?per_page=100",
            "GET /repos/acme/state/pulls/1",
            "GET /repos/acme/state/issues/1/comments?per_page=100&page=3",
            "PATCH /repos/acme/state/pulls/1",
            "GET /repos/acme/state/pulls/1/reviews?per_page=100",
        ]
    );
    let server = scripted(vec![
        pull("open", 0),
        nothing(),
        pull("open", 0),
        answer("201 Created", "", "{}"),
        pull("closed", 1),
        nothing(),
    ]);
    github(server.port).close(1, "Superseded by #2".into()).await.unwrap();
    assert_eq!(server.lines()[3..5], ["POST /repos/acme/state/issues/1/comments", "PATCH /repos/acme/state/pulls/1"]);
    let server = scripted(vec![pull("closed", 1), nothing()]);
    assert_eq!(github(server.port).close(1, "Again".into()).await.unwrap().state, Standing::Closed);
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "nothing is said or done");
}

#[tokio::test]
async fn an_organisation_tells_its_repositories() {
    let found = contract(None).repositories("acme").await.unwrap();
    let found: Vec<&str> = found.iter().map(onramp::git::RepoUrl::as_str).collect();
    assert_eq!(found, ["https://github.com/octocat/Hello-World.git"], "the description's example");
    // Page after page; what is archived takes no pull request.
    let link = "link: <http://127.0.0.1:PORT/more>; rel=\"next\"\r\n";
    let page =
        |name: &str, archived: bool| format!(r#"[{{"clone_url":"https://h/acme/{name}.git","archived":{archived}}}]"#);
    let server = scripted(vec![
        answer("200 OK", link, &page("a", false)),
        answer("200 OK", link, &page("b", true)),
        answer("200 OK", "", &page("c", false)),
    ]);
    let found = github(server.port).repositories("acme").await.unwrap();
    assert_eq!(
        found.iter().map(onramp::git::RepoUrl::as_str).collect::<Vec<_>>(),
        ["https://h/acme/a.git", "https://h/acme/c.git"]
    );
    assert!(server.requests.lock().unwrap()[0].starts_with("GET /orgs/acme/repos?"));
}

#[tokio::test]
async fn a_request_that_github_does_not_describe_is_refused_by_the_contract() {
    // The same server that accepts ours: without this, the test above would pass against anything.
    let url = format!("http://127.0.0.1:{}/repos/acme/state/pulls", prism().port);
    assert_eq!(status_of(&url, r#"{"title":"no head, no base"}"#).await, 422);
}

#[tokio::test]
async fn refusals_are_classed_and_told_in_githubs_words() {
    // An operation answers with the errors that its description has; Prism is asked for them with `Prefer: code=…`.
    let error = contract(Some("code=404")).get(1347).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(error.class(), Class::Auth);
    assert!(error.hint().unwrap().contains("private repository"));

    let error = contract(Some("code=422")).create(proposal()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { status: 422, .. }), "{error}");
    assert_eq!(error.class(), Class::Config);

    let error = contract(Some("code=403")).create(proposal()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    assert_eq!(error.class(), Class::Auth);
}

#[tokio::test]
async fn merging_asks_for_the_base_first_and_pins_the_head() {
    let github = contract(None);
    // The base of the description's example is not the one that was checked.
    let checked =
        |base: &str| Checked { head: HEAD.parse().unwrap(), base: base.parse().unwrap(), message: "M\n\nW".into() };
    let error = github.merge(1347, checked(HEAD)).await.unwrap_err();
    let Error::Moved { number: 1347, detail } = &error else { panic!("{error}") };
    assert!(detail.contains("is at"), "{detail}");
    let base = example_base().await;
    assert_eq!(github.merge(1347, checked(&base)).await.unwrap().as_str(), HEAD);
}

/// The commit of the branch in the description's example.
async fn example_base() -> String {
    let url = format!("http://127.0.0.1:{}/repos/acme/state/branches/master", prism().port);
    let text =
        reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().text().await.unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["commit"]["sha"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_used_up_limit_says_when_it_ends() {
    let cases = [
        ("403 Forbidden", "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1893456000\r\n", "at 2030-01-01T00:00:00Z"),
        ("403 Forbidden", "retry-after: 60\r\n", "in 60 s"),
        ("429 Too Many Requests", "", "in a minute"),
    ];
    for (status, headers, reset) in cases {
        let server = scripted(vec![answer(status, headers, "{}")]);
        let error = github(server.port).list().await.unwrap_err();
        assert!(error.to_string().ends_with(reset), "{error}");
        assert_eq!(error.class(), Class::Net);
    }
    let server = scripted(vec![answer("403 Forbidden", "x-ratelimit-remaining: 9\r\n", "{\"message\":\"no\"}")]);
    assert_eq!(github(server.port).list().await.unwrap_err().class(), Class::Auth);
}

#[tokio::test]
async fn a_refused_token_is_named_by_its_origin_and_never_shown() {
    let server = scripted(vec![answer("401 Unauthorized", "", r#"{"message":"Bad credentials"}"#)]);
    let error = github(server.port).list().await.unwrap_err();
    let host = format!("127.0.0.1:{}", server.port);
    assert_eq!(error.to_string(), format!("{host} refused the token from GH_TOKEN: Bad credentials"));
    assert_eq!(error.class(), Class::Auth);
    assert!(!format!("{error:?}").contains("ghp_secret"));
    assert!(server.requests.lock().unwrap()[0].contains("Bearer ghp_secret"));
}

#[tokio::test]
async fn lists_have_an_end() {
    let listener = scripted(vec![answer("200 OK", "", &format!("[{}]", " ".repeat(5 * 1024 * 1024)))]);
    let error = github(listener.port).list().await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { cap: "4 MiB", .. }), "{error}");

    let link = "link: <http://127.0.0.1:PORT/more>; rel=\"next\"\r\n";
    let server = scripted(vec![answer("200 OK", link, "[]")]);
    let error = github(server.port).list().await.unwrap_err();
    assert!(matches!(error, Error::TooMuch { cap: "1000 entries", .. }), "{error}");
    assert_eq!(server.requests.lock().unwrap().len(), 10);
}

#[tokio::test]
async fn a_comment_takes_no_approval_back_and_a_second_thought_does() {
    let pull = r#"{"number":1,"title":"T","body":null,"html_url":"https://h/1","state":"closed","merged_at":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","user":null,"head":{"ref":"h","sha":"HEAD"},"base":{"ref":"main","sha":"HEAD"}}"#;
    let by = |login: &str, state: &str, of: &str| {
        format!(
            r#"{{"user":{{"login":"{login}"}},"state":"{state}","commit_id":"{HEAD}","author_association":"{of}"}}"#
        )
    };
    let review = |login: &str, state: &str| by(login, state, "MEMBER");
    let reviews = [
        review("ada", "APPROVED"),
        review("ada", "COMMENTED"),
        review("bob", "APPROVED"),
        review("bob", "CHANGES_REQUESTED"),
        review("eve", "APPROVED"),
        review("eve", "DISMISSED"),
        // Somebody who may only read it.
        by("mallory", "APPROVED", "CONTRIBUTOR"),
    ];
    let reviews = format!("[{}]", reviews.join(","));
    let found = |commits: &str| {
        let ok = |body: &str| answer("200 OK", "", body);
        scripted(vec![ok(&pull.replace("HEAD", HEAD)), ok(&reviews), ok(&commits.replace("HEAD", HEAD))])
    };
    let server = found(r#"[{"sha":"HEAD","author":{},"committer":{"login":"web-flow"}}]"#);
    let got = github(server.port).get(1).await.unwrap();
    let people: Vec<&str> = got.approved_by_others().map(|person| person.id.as_str()).collect();
    assert_eq!(people, ["ada"]);
    assert_eq!((got.state, got.author.id.as_str()), (Standing::Merged, "ghost"));
    assert_eq!(server.lines()[2], "GET /repos/acme/state/pulls/1/commits?per_page=100");
    // Whoever made some of it agreed to nothing by approving it, whoever opened the pull request.
    let old = "553c2077f0edc3d5dc5d17262f6aa498e69d6f8e";
    let commits = format!(
        r#"[{{"sha":"{old}","author":{{"login":"Ada"}},"committer":null}},{{"sha":"HEAD","author":null,"committer":{{"login":"bot"}}}}]"#
    );
    let got = github(found(&commits).port).get(1).await.unwrap();
    assert_eq!((got.approved_by().count(), got.approved_by_others().count()), (1, 0));
    assert_eq!(got.authors(), ["ghost", "Ada", "bot"]);
    // A list that ends before the proposed commit does not say who made that.
    let short = format!(r#"[{{"sha":"{old}","author":null,"committer":null}}]"#);
    let error = github(found(&short).port).get(1).await.unwrap_err();
    assert!(error.to_string().ends_with("the proposed one is not among them"), "{error}");
}

/// A new RSA key, as GitHub gives apps one, and its public half.
fn app_key(directory: &Path) -> PathBuf {
    let openssl = |arguments: &[&str]| {
        let status = Command::new("openssl").current_dir(directory).args(arguments).stderr(Stdio::null()).status();
        assert!(status.expect("openssl is needed: apt-get install openssl").success(), "openssl {arguments:?}");
    };
    openssl(&["genrsa", "-traditional", "-out", "app.pem", "2048"]);
    openssl(&["rsa", "-in", "app.pem", "-pubout", "-out", "app.pub"]);
    directory.join("app.pem")
}

#[tokio::test]
async fn an_app_gets_a_token_of_one_repository_for_what_its_key_signs() {
    let directory = tempfile::tempdir().unwrap();
    let key = app_key(directory.path());
    let place = |port: u16| {
        let api = format!("http://127.0.0.1:{port}");
        Place::of(ForgeKind::Github, Some(&api), &format!("{api}/acme/state.git").parse().unwrap()).unwrap()
    };
    let limit = Duration::from_secs(20);
    let token = app::of(&place(prism().port), "1234", &key, limit).await.unwrap();
    assert_eq!(token.origin, "the GitHub App 1234");

    let server = scripted(vec![answer("200 OK", "", r#"{"id":7}"#), answer("201 Created", "", r#"{"token":"ghs_x"}"#)]);
    app::of(&place(server.port), "1234", &key, limit).await.unwrap();
    assert_eq!(server.lines(), ["GET /repos/acme/state/installation", "POST /app/installations/7/access_tokens"]);
    // What was sent is what the key signed: openssl says so.
    let head = server.requests.lock().unwrap()[0].clone();
    let signed = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    let (text, signature) = signed.rsplit_once('.').unwrap();
    std::fs::write(directory.path().join("text"), text).unwrap();
    std::fs::write(directory.path().join("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let verify = ["dgst", "-sha256", "-verify", "app.pub", "-signature", "signature", "text"];
    let verified = Command::new("openssl").current_dir(directory.path()).args(verify).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&verified.stdout), "Verified OK\n");
    let claims = text.split_once('.').unwrap().1;
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "1234");
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        600,
        "GitHub takes ten minutes at most"
    );

    let error = app::of(&place(1), "1234", &directory.path().join("app.pub"), limit).await.unwrap_err();
    assert_eq!(error.to_string(), "the forge cannot be used: ONRAMP_GITHUB_APP_KEY leads to no RSA key in PEM");
    assert_eq!(app::of(&place(1), "12/34", &key, limit).await.unwrap_err().class(), Class::Config);
}

/// What connecting to a forge at `https://git.nowhere.test` comes to.
async fn connected(kind: ForgeKind, variables: &[(&str, &str)]) -> Result<(), Error> {
    let setting = onramp::settings::Forge { kind, api: Some("https://git.nowhere.test/api/v3".to_owned()) };
    let cache = tempfile::tempdir().unwrap();
    let url = "https://git.nowhere.test/acme/state.git".parse().unwrap();
    let mirror = onramp::git::Mirror::new(cache.path(), url, onramp::git::Wanted::Branches);
    let me = onramp::git::Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
    let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    onramp::forge::connect(&setting, &mirror, &me, false, Duration::from_secs(5), &variable).await.map(drop)
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_cure_is_named() {
    for (kind, cure) in [
        (ForgeKind::Github, "gh auth login --hostname git.nowhere.test"),
        (ForgeKind::Gitlab, "glab auth login --hostname git.nowhere.test"),
        (ForgeKind::Gitea, "tea login add --url https://git.nowhere.test"),
    ] {
        // Those of other servers do not count.
        let others = [
            ("GH_TOKEN", "x"),
            ("GH_ENTERPRISE_TOKEN", "x"),
            ("GITLAB_TOKEN", "x"),
            ("GITEA_SERVER_TOKEN", "x"),
            ("ONRAMP_GITHUB_APP_ID", "1"),
        ];
        let error = connected(kind, &others).await.expect_err("there is no token for a host that is nowhere");
        assert_eq!((error.class(), error.next()), (Class::Auth, vec![cure.to_owned()]), "{error}");
        assert_eq!(error.to_string(), "there is no token for git.nowhere.test");
    }
    for (kind, variables) in [
        (ForgeKind::Github, [("GH_ENTERPRISE_TOKEN", "x"), ("GH_HOST", "git.nowhere.test")]),
        (ForgeKind::Gitlab, [("GITLAB_TOKEN", "x"), ("GITLAB_HOST", "git.nowhere.test")]),
        (ForgeKind::Gitea, [("GITEA_SERVER_TOKEN", "x"), ("GITEA_SERVER_URL", "https://git.nowhere.test")]),
    ] {
        connected(kind, &variables).await.unwrap();
    }
    let half = [("ONRAMP_GITHUB_APP_ID", "1"), ("ONRAMP_GITHUB_APP_HOST", "git.nowhere.test")];
    let error = connected(ForgeKind::Github, &half).await.unwrap_err();
    assert!(error.to_string().ends_with("ONRAMP_GITHUB_APP_ID and ONRAMP_GITHUB_APP_KEY go together"), "{error}");
}

/// Of REST and of GraphQL: a pull request, and what it is made.
fn drafted(draft: bool) -> String {
    let fields = format!(r#"{{"node_id":"PR_x","draft":{draft},"#);
    let pull = PULL.replace("STATE", "open").replace("COMMENTS", "0").replace("HEAD", HEAD);
    answer("200 OK", "", &pull.replacen('{', &fields, 1))
}

#[tokio::test]
async fn graphql_makes_a_draft_and_makes_it_ready() {
    let turned = |draft: bool| {
        answer("200 OK", "", &format!(r#"{{"data":{{"turned":{{"pullRequest":{{"isDraft":{draft}}}}}}}}}"#))
    };
    let nothing = || answer("200 OK", "", "[]");
    for to_draft in [true, false] {
        let server = scripted(vec![drafted(!to_draft), turned(to_draft), nothing()]);
        let pull = github(server.port).update(1, words(to_draft)).await.unwrap();
        assert_eq!(pull.draft, to_draft);
        assert_eq!(server.lines()[..2], ["PATCH /repos/acme/state/pulls/1", "POST /graphql"]);
        assert_eq!(server.sent("query"), [draft::MUTATIONS[usize::from(!to_draft)]]);
    }
    let server = scripted(vec![drafted(true), nothing()]);
    assert!(github(server.port).update(1, words(true)).await.unwrap().draft);
    assert_eq!(server.lines().len(), 2, "one that is a draft is made none");

    // It answers 200, whatever it thinks of it.
    let refused = |kind: &str| {
        let body = format!(r#"{{"data":{{"turned":null}},"errors":[{{"type":"{kind}","message":"no\u001b[31m"}}]}}"#);
        answer("200 OK", "", &body)
    };
    for (answers, class) in [
        (refused("FORBIDDEN"), Class::Auth),
        (refused("NOT_FOUND"), Class::Auth),
        (refused("RATE_LIMITED"), Class::Net),
        (refused("UNPROCESSABLE"), Class::Config),
        (answer("200 OK", "", "{}"), Class::Net),
        (turned(false), Class::Net),
    ] {
        let server = scripted(vec![drafted(false), answers]);
        let error = github(server.port).update(1, words(true)).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }
}

/// What GitHub's own schema has against a query of GraphQL.
fn schema_has_against(query: &str) -> String {
    let script = "import { validate } from '@octokit/graphql-schema';\
                  console.log(validate(process.argv[1]).map(String).join('\\n'))";
    let told =
        Command::new("node").current_dir(home()).args(["--input-type=module", "-e", script, query]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_mutation_is_one_that_githubs_schema_has() {
    for mutation in draft::MUTATIONS {
        assert_eq!(schema_has_against(mutation), "");
    }
    // The same schema: without this, it might accept anything.
    let wrong = draft::MUTATIONS[0].replace("isDraft", "isDraught");
    assert!(schema_has_against(&wrong).contains("Cannot query field \"isDraught\" on type \"PullRequest\""));
}

#[tokio::test]
async fn a_draft_is_not_merged() {
    let branch = answer("200 OK", "", &format!(r#"{{"commit":{{"sha":"{HEAD}"}}}}"#));
    let server = scripted(vec![drafted(true), answer("200 OK", "", "[]"), branch]);
    let head: onramp::git::Commit = HEAD.parse().unwrap();
    let checked = Checked { head: head.clone(), base: head, message: "M".into() };
    let error = github(server.port).merge(1, checked).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.class()), ("pull request 1 is a draft", Class::Security));
    assert!(server.lines().iter().all(|line| line.starts_with("GET ")), "nothing was merged");
}
