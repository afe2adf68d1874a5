//! `--with`: other people's pending changes in my sandbox, on the real engine, registry and forge.

use onramp::error::Class;

use crate::company::Developer;
use crate::engine;

/// Where the practice company declares the app `auth`.
const DECLARED: &str = "environments/production/auth.toml";

/// The image that production declares for `auth/api`.
fn declared(dev: &Developer) -> String {
    let text = dev.declared(DECLARED);
    let line = text.lines().find(|line| line.starts_with("image = ")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// A checkout of the app `auth` beside `shop`, in which this user is signed in.
fn auth(dev: &Developer, user: &str) {
    let image = declared(dev);
    let registry = image.split('/').next().unwrap();
    let source = include_str!("../../templates/apps/auth/src/index.php");
    dev.write("auth/src/index.php", source.replace("'ada'", &format!("'{user}'")));
    dev.write("auth/src/.htaccess", include_str!("../../templates/apps/auth/src/.htaccess"));
    dev.write("auth/Dockerfile", include_str!("../../templates/apps/auth/Dockerfile"));
    let base = format!("build = {{ base = \"{registry}/base/php-apache:8.2\" }}");
    let manifest = format!("schema = 1\nname = \"auth\"\n[services.api]\n{base}\nport = 80\n");
    dev.write("auth/onramp.toml", manifest);
    dev.onramp("image lock").dir("auth").ok();
    dev.git("auth", &["init", "--quiet", "--initial-branch", "main"]);
    dev.git("auth", &["add", "--all"]);
    dev.git("auth", &["commit", "--quiet", "--message", user]);
}

/// Who the page of `shop` says is signed in.
fn signed_in(dev: &Developer) -> String {
    let page = dev.page("shop", "shop/web", "/");
    let (_, rest) = page.split_once("Signed in as <strong>").unwrap_or_else(|| panic!("nobody: {page}"));
    rest.split('<').next().unwrap().to_owned()
}

#[test]
fn a_pull_request_is_tested_together_with_my_code_before_anyone_merges() {
    let dev = Developer::new();
    dev.shop();
    auth(&dev, "grace");
    dev.onramp("deploy production").dir("auth").ok();
    let up = dev.in_shop("up --with auth=#1").ok();
    assert!(up.stderr.contains("  mix     auth/api with auth=pr:1 ([COMMIT])\n"), "{up}");
    assert!(up.stdout.contains("1 of 3 services at its digests"), "{up}");
    assert_eq!(signed_in(&dev), "grace");
    let status = dev.in_shop("status").ok();
    assert!(status.stdout.contains("  auth/api runs with auth=pr:1 ([COMMIT])\n"), "{status}");
    let list = dev.onramp("list").ok();
    assert!(list.stdout.contains("3 up, with auth=pr:1 ([COMMIT])"), "{list}");
    let parity = dev.in_shop("parity").ok();
    let digest = parity.stdout.lines().find(|line| line.contains("--with")).unwrap_or_default();
    assert!(
        digest.contains("digest") && digest.contains("overridden here  --with auth=pr:1 ([COMMIT])"),
        "a command that was not told of it knows it: {parity}"
    );

    let other = dev.in_shop("up --dry-run --with auth/web=#1").fails(Class::Usage);
    assert!(other.stderr.contains("pull request 1 does not change auth/web in production"), "{other}");
    assert!(other.stderr.contains("of that app it changes: api"), "{other}");

    // What passes together with it says nothing of what production runs.
    dev.in_shop("test unit").ok();
    dev.write("shop/src/index.php", dev.read("shop/src/index.php").replace("Our products", "Better products"));
    dev.commit("Better products");
    let tested = dev.in_shop("test unit --with auth=pr:1").ok();
    assert!(tested.stdout.contains("tested with auth=pr:1 ([COMMIT]), so this is no evidence"), "{tested}");
    assert_eq!(signed_in(&dev), "grace");
    let opened = dev.in_shop("deploy test").ok();
    assert!(opened.stdout.contains("missing: "), "the policy asks for `unit` still: {opened}");
    let body = dev.onramp("pr show 2").ok().stdout;
    assert!(body.contains("None ran on this commit."), "{body}");
    assert!(body.contains("Together with `auth=pr:1 ([COMMIT])`, which counts for no policy: unit passed."), "{body}");

    let plain = dev.in_shop("up").ok();
    let note = "auth=pr:1 is not mixed in any more: production's own runs again; `--with auth=pr:1` keeps it";
    assert!(plain.stderr.contains(note), "{plain}");
    assert_eq!(signed_in(&dev), "ada");
}

#[test]
fn several_changes_are_mixed_a_directory_and_a_digest() {
    let dev = Developer::new();
    dev.shop();
    auth(&dev, "grace");
    let image = declared(&dev);
    dev.declare(DECLARED, |text| format!("{text}\n[services.other]\nimage = \"{image}\"\nport = 80\n"));
    dev.write(
        "shop/onramp.toml",
        dev.read("shop/onramp.toml").replace("\"auth/api\"]", "\"auth/api\", \"auth/other\"]"),
    );
    // Another digest of the same repository: the tag that a deployment pushed.
    dev.onramp("deploy test").dir("auth").ok();
    let commit = dev.git("auth", &["rev-parse", "HEAD"]);
    let tag = format!("{}:{}", image.split('@').next().unwrap(), &commit[..12]);
    let unclear = dev.in_shop("up --with").arg(format!("auth={tag}")).fails(Class::Usage);
    assert!(unclear.stderr.contains("auth has 2 services in production"), "{unclear}");
    assert!(unclear.stderr.contains("--with auth/api=… or --with auth/other=…"), "{unclear}");

    let mixing = ["auth/api=../auth".to_owned(), format!("auth/other={tag}")];
    let with = |line: &str| mixing.iter().fold(dev.in_shop(line), |run, with| run.arg("--with").arg(with));
    let plan = with("up --dry-run --json").ok().json();
    let services = plan["services"].as_array().unwrap();
    let origins: Vec<String> =
        services.iter().map(|service| format!("{} {}", service["service"], service["origin"])).collect();
    assert!(origins.contains(&"\"auth/api\" \"with\"".to_owned()), "{origins:?}");
    assert!(origins.contains(&"\"auth/other\" \"with\"".to_owned()), "{origins:?}");
    let up = with("up").ok();
    assert!(up.stderr.contains("build   auth/api on base/php-apache"), "{up}");
    assert_eq!(signed_in(&dev), "grace");
    let other = dev.in_shop("exec auth/other -- php -r").arg("echo file_get_contents('http://localhost/whoami');").ok();
    assert!(other.stdout.contains("grace"), "{other}");

    // A change of the directory is another image, and the one before goes.
    auth(&dev, "joan");
    with("up").ok();
    assert_eq!(signed_in(&dev), "joan");
    let built: Vec<String> =
        engine::images_of(&dev.path("shop")).into_iter().filter(|tag| tag.contains(".auth.api:")).collect();
    assert_eq!(built.len(), 1, "{built:?}");
    dev.in_shop("up").ok();
    assert!(engine::images_of(&dev.path("shop")).iter().all(|tag| !tag.contains(".auth.api:")), "gone with the mix");
}

#[test]
fn a_branch_is_built_from_the_source_that_the_environment_names() {
    let dev = Developer::new();
    dev.shop();
    auth(&dev, "grace");
    dev.git("auth", &["branch", "fix/login"]);
    let unknown = dev.in_shop("up --with auth=branch:fix/login").fails(Class::Config);
    assert!(
        unknown
            .stderr
            .contains("write `source = \"https://…\"` above the services in environments/production/auth.toml"),
        "{unknown}"
    );
    let source = dev.path("auth").display().to_string();
    dev.declare(DECLARED, |text| text.replacen("schema = 1\n", &format!("schema = 1\nsource = \"{source}\"\n"), 1));
    let missing = dev.in_shop("up --with auth=branch:fix/logon").fails(Class::Usage);
    assert!(missing.stderr.contains("did you mean `fix/login`?"), "{missing}");
    let up = dev.in_shop("up --with auth=branch:fix/login").ok();
    assert!(up.stderr.contains("auth/api with auth=branch:fix/login ([COMMIT])"), "{up}");
    assert_eq!(signed_in(&dev), "grace");
}

#[test]
fn what_cannot_be_mixed_in_is_told() {
    let dev = Developer::new();
    dev.shop();
    auth(&dev, "grace");
    let digest = format!("sha256:{}", "0".repeat(64));
    let refused = |with: &str, class| dev.in_shop("up --dry-run --with").arg(with).fails(class).stderr;
    let mut told = String::new();
    for (with, class) in [
        ("shop=#1", Class::Usage),
        ("auht=#1", Class::Usage),
        ("auth/web=sha256:", Class::Usage),
        ("auth=feature", Class::Usage),
        ("auth=branch:--upload-pack=touch /tmp/x", Class::Usage),
        ("auth=branch:../../x", Class::Usage),
        ("auth=./\u{1b}]0;x\u{7}", Class::Usage),
        ("auth=../shop", Class::Usage),
        ("auth=../nowhere", Class::Io),
        ("auth=..", Class::Usage),
        ("auth=r.test/apps/auth:1", Class::Usage),
        ("auth=#7", Class::Usage),
    ] {
        told.push_str(&refused(with, class));
    }
    assert!(!told.contains('\u{1b}') && !told.contains('\u{7}'), "{told:?}");
    insta::assert_snapshot!(told, @r"
    error: shop is this project itself: its services run from the code that stands here
      hint: check out the branch that is to be tested
    error: production does not declare the app auht
      hint: did you mean `auth`?
    error: --with auth/web=sha256:: `sha256:` is not a digest (sha256: and 64 hexadecimal digits)
      hint: write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth
    error: --with auth=feature: what it begins with does not tell what it is
      hint: write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth
    error: --with auth=branch:--upload-pack=touch /tmp/x: that is no branch's name
      hint: write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth
    error: --with auth=branch:../../x: that is no branch's name
      hint: write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth
    error: --with auth=./\u{1b}]0;x\u{7}: it is too long or holds control characters
      hint: write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth
    error: [WORK]/shop is the project shop, not auth
      hint: to mix shop in, write --with shop=…
    error: cannot read [WORK]/shop/../nowhere: No such file or directory (os error 2)
    error: [WORK] holds neither an onramp.toml nor a Dockerfile
      hint: name a checkout of the app, or a directory with its Dockerfile
    error: r.test/apps/auth:1 is not of 127.0.0.1:[PORT]/apps/auth, which production declares for auth/api
      hint: what is built elsewhere comes in as a directory: --with APP=../DIRECTORY
    error: there is no pull request 7
      next: onramp pr list
    ");
    let absent = dev.in_shop("up --dry-run --with").arg(format!("auth={digest}")).outcome();
    assert_ne!(absent.0, Some(0), "a registry is asked whether it has it: {}", absent.1);

    // Nothing of it is in the sandbox: what is, is named.
    dev.write("shop/onramp.toml", dev.read("shop/onramp.toml").replace(", \"auth/api\"", ""));
    dev.declare("environments/production/shop.toml", |text| text.replace(", \"auth/api\"", ""));
    let outside = refused("auth=../auth", Class::Usage);
    assert!(
        outside.contains("this sandbox does not run auth/api") && outside.contains("it runs nothing of other apps"),
        "{outside}"
    );
}
