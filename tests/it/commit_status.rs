//! `state check --status`: what policy says of a commit, said at its forge.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use onramp::error::Class;
use serde_json::{Value, json};

use crate::state::{OTHER, commit, service, state};

/// What a forge was told of commits, by commit.
type Told = Arc<Mutex<Vec<(String, Value)>>>;

/// A Gitea that knows one thing: the statuses of commits. Its port, and what it was told.
fn gitea() -> (u16, Told) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Told::default();
    let statuses = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap_or(0) > 0 {}
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut all = statuses.lock().unwrap();
            let (status, answer) = if !head.contains("authorization: Bearer s3cret") {
                ("401 Unauthorized", json!({}))
            } else if let Some(sha) = path.strip_prefix("/api/v1/repos/acme/state/statuses/") {
                all.push((sha.to_owned(), serde_json::from_slice(&body).unwrap()));
                ("201 Created", json!({}))
            } else {
                let mut of_it = all.iter().filter(|(sha, _)| path.contains(sha.as_str()));
                let last = of_it.next_back().map(|(_, said)| {
                    json!({ "context": said["context"], "status": said["state"], "description": said["description"] })
                });
                (
                    "200 OK",
                    json!({ "total_count": last.iter().len(), "statuses": last.into_iter().collect::<Vec<_>>() }),
                )
            };
            let answer = answer.to_string();
            let length = answer.len();
            let _ = write!(
                stream.get_mut(),
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
            );
        }
    });
    (port, told)
}

#[test]
fn a_commit_is_said_at_the_forge_to_meet_policy_or_not() {
    let machine = state();
    machine.git("state", &["switch", "-q", "-c", "change"]);
    let (port, told) = gitea();
    let url = format!("http://127.0.0.1:{port}");
    let check = |more: &str| {
        let run = machine.onramp(&format!("state check --base main {more}")).dir("state").env("ONRAMP_FORGE", "gitea");
        run.env("ONRAMP_STATE", format!("{url}/acme/state.git"))
            .env("GITEA_SERVER_URL", url.as_str())
            .env("GITEA_SERVER_TOKEN", "s3cret")
    };
    let head = || machine.git("state", &["rev-parse", "HEAD"]).trim().to_owned();

    let dry = check("--status --dry-run").ok();
    assert!(dry.stdout.ends_with("status onramp/policy of [COMMIT] would be set\n"), "{dry}");
    assert_eq!(told.lock().unwrap().len(), 0);
    insta::assert_snapshot!(check("--status").ok().stdout, @r"
    [COMMIT] into [COMMIT]: nothing is missing
    status onramp/policy of [COMMIT] is set
    ");
    assert!(check("--status").ok().stdout.ends_with("says so already\n"));
    {
        let told = told.lock().unwrap();
        let passed = "nothing is missing of what policy asks for before approvals";
        let expected = json!({ "context": "onramp/policy", "state": "success", "description": passed });
        assert_eq!(*told, [(head(), expected)]);
    }

    // By hand, past what comes before.
    machine.write(
        "state/environments/production/shop.toml",
        format!("schema = 1\n{}", service("web", "apps/shop", &OTHER.replace("48", "84"), "")),
    );
    commit(&machine, "By hand");
    let refused = check("--status --json").exits(1).json();
    insta::assert_snapshot!(serde_json::to_string_pretty(&refused["status"]).unwrap(), @r#"
    {
      "context": "onramp/policy",
      "passed": false,
      "description": "production/shop: production needs `web` at 846ea46224d1 to be in staging first; staging declares 486ea46224d1",
      "set": true
    }
    "#);
    assert_eq!(told.lock().unwrap().last().unwrap().1["state"], "failure");

    // What cannot be checked did not pass.
    machine.write("state/environments/production/shop.toml", "schema = 1\n[services.web]\nport = 80\n");
    commit(&machine, "Broken");
    check("--status").fails(Class::Config);
    let (sha, said) = told.lock().unwrap().last().unwrap().clone();
    assert_eq!((sha, &said["state"]), (head(), &"failure".into()));
    let words = said["description"].as_str().unwrap();
    assert!(words.starts_with("it cannot be checked: environments/production/shop.toml"), "{words}");
    assert!(words.ends_with("services.web: `image` is missing"), "{words}");

    // What was found is told, too, where the forge does not listen.
    let unheard = check("--status").env("GITEA_SERVER_TOKEN", "wrong").fails(Class::Config);
    assert!(
        unheard.stderr.contains("note: the commit's status is not set: ")
            && unheard.stderr.contains("`image` is missing"),
        "{unheard}"
    );
    machine.git("state", &["reset", "-q", "--hard", "main"]);
    let unheard = check("--status").env("GITEA_SERVER_TOKEN", "wrong").fails(Class::Auth);
    assert!(unheard.stdout.contains("nothing is missing\n"), "{unheard}");
    check("--status --offline").fails(Class::Net);
    let local = check("--status").env("ONRAMP_FORGE", "local").fails(Class::Usage);
    insta::assert_snapshot!(local.stderr, @r"
    error: the local forge keeps no statuses of commits
      hint: leave --status out: the command says the same, and its exit code does
      next: onramp state check --base main
    ");
    assert_eq!(told.lock().unwrap().len(), 3);
}
