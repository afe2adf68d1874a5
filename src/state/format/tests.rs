//! What every format holds to: what it reads, that an edit changes the image and no other byte, and what it refuses.

mod properties;

use super::*;
use crate::error::Fault;
use crate::reference::Digest;
use crate::state::policy;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn digest(seed: &str) -> Digest {
    Digest::of(seed.as_bytes())
}

fn image(seed: &str) -> ImageRef {
    format!("r.test/apps/shop@{}", digest(seed)).parse().unwrap()
}

/// The format that the lines of `[format]` tell.
fn format(lines: &str) -> Format {
    policy::parse(Path::new("state.toml"), &format!("schema = 1\n[format]\n{lines}\n")).unwrap().format
}

fn read(format: &Format, text: &str) -> Result<BTreeMap<Name, Service>, DocumentError> {
    Ok(format.read(Path::new("f.yaml"), &name("test"), &name("shop"), &with_digests(text))?.services)
}

/// `@old` and `@new` stand for digests.
fn with_digests(text: &str) -> String {
    text.replace("OLD", digest("old").as_str()).replace("NEW", digest("new").as_str())
}

/// The text with the image of each service set to `new`, in its file.
fn edit(format: &Format, text: &str, services: &[&str]) -> Result<String, DocumentError> {
    let edits = services.iter().map(|service| (name(service), Edit::Image(image("new")))).collect();
    format.edit(&name("test"), &name("shop"), Some(&with_digests(text)), &edits)
}

/// Holds an edit against the text that it makes; both may hold digests by name.
#[track_caller]
fn makes(format: &Format, text: &str, new: &str) {
    assert_eq!(edit(format, text, &["web"]).unwrap(), with_digests(new));
    assert_eq!(read(format, new).unwrap()[&name("web")].image, Some(image("new")));
    assert_eq!(edit(format, new, &["web"]).unwrap(), with_digests(new), "again is nothing");
}

/// What an edit, or else reading, says is wrong; without the path.
#[track_caller]
fn refused(format: &Format, text: &str, services: &[&str]) -> String {
    let error = edit(format, text, services).expect_err("it is refused");
    assert_eq!(error.class(), crate::error::Class::Config);
    let path = format.path(&name("test"), &name("shop"));
    error.to_string().replace(&path, "F").replace(digest("old").as_str(), "OLD")
}

fn compose() -> Format {
    format("kind = \"compose\"\npath = \"{environment}/{app}/compose.yaml\"")
}

fn kustomize() -> Format {
    format("kind = \"kustomize\"\npath = \"overlays/{environment}/{app}/kustomization.yaml\"")
}

fn helm() -> Format {
    format("kind = \"helm\"\npath = \"{app}/values-{environment}.yaml\"\nimage = \"{service}.image\"")
}

fn kubernetes(lines: &str) -> Format {
    format(&format!("kind = \"kubernetes\"\npath = \"{{environment}}/{{app}}.yaml\"\n{lines}"))
}

fn hiera() -> Format {
    format("kind = \"hiera\"\npath = \"data/{environment}/{app}.yaml\"\nimage = \"profile::{app}::{service}::image\"")
}

#[test]
fn a_compose_file_tells_services_and_keeps_all_but_the_image() {
    let text = "# ours\nx-env: &env {A: '1'}   # shared\nservices:\n    web:\n        image:   \"r.test/apps/shop@OLD\"   # pinned\n        environment: *env\n        ports: ['8080:80']\n        depends_on: [db]\n        deploy: {replicas: 3}\n    db:\n        image: mariadb:11\n";
    makes(&compose(), text, &text.replace("OLD", "NEW"));
    let services = read(&compose(), text).unwrap();
    let web = &services[&name("web")];
    assert_eq!((web.port, web.replicas, web.needs.len()), (Some(80), Some(3), 1));
    assert_eq!(web.env["A"], crate::project::service::EnvValue::Plain("1".to_owned()));
    assert_eq!((web.publish, &web.fallback, &web.build), (None, &None, &None));
    assert_eq!(services[&name("db")].image.as_ref().unwrap().to_string(), "docker.io/library/mariadb:11");
}

#[test]
fn line_ends_marks_and_other_signs_stay() {
    for text in [
        "services:\r\n  web:\r\n    image: r.test/apps/shop@OLD\r\n    # ü\r\n",
        "\u{feff}# é – ü\nservices: {web: {image: 'r.test/apps/shop@OLD', x-a: ü}}",
        "---\nservices:\n  web:\n    image: &pin r.test/apps/shop@OLD # nobody takes it\n...\n",
        "services:\n  web:\n    image: r.test/apps/shop@OLD",
    ] {
        makes(&compose(), text, &text.replace("OLD", "NEW"));
    }
    let tagged = "services:\n  web:\n    image: r.test/apps/shop:1.2   \n";
    makes(&compose(), tagged, "services:\n  web:\n    image: r.test/apps/shop@NEW   \n");
}

#[test]
fn what_a_compose_file_shares_is_named_and_not_edited() {
    let merged = "x-base: &base\n  image: r.test/apps/shop@OLD\nservices:\n  web:\n    <<: *base\n  cron:\n    <<: *base\n    command: cron\n";
    let both = "x-base: &base\n  image: r.test/apps/shop@OLD\nservices:\n  web:\n    <<: *base\n";
    let alias = "x-image: &image r.test/apps/shop@OLD\nservices:\n  web:\n    image: *image\n";
    let anchor = "services:\n  web:\n    image: &image r.test/apps/shop@OLD\n  cron:\n    image: *image\n";
    assert_eq!(read(&compose(), merged).unwrap().len(), 2, "it is read all the same");
    let cases = [
        (
            merged,
            "F:2:10: services.web: `r.test/apps/shop@OLD` is here and at F:2: nobody can tell which of them are meant",
        ),
        (
            both,
            "F:2:10: services.web: its image cannot be changed here, because it is shared: what is written there holds by F:5, too",
        ),
        (
            alias,
            "F:1:10: services.web: its image cannot be changed here, because it is shared: what is written there holds by F:4, too",
        ),
        (
            anchor,
            "F:3:12: services.web: `r.test/apps/shop@OLD` is here and at F:3: nobody can tell which of them are meant",
        ),
        (
            "services:\n  web:\n    image: r.test/apps/shop@OLD\n  cron:\n    image: r.test/apps/shop@OLD\n",
            "F:3:12: services.web: `r.test/apps/shop@OLD` is here and at F:5: nobody can tell which of them are meant",
        ),
        ("services:\n  web:\n    image: a:1\n    image: b:1\n", "F:4:5: the key `image` is there twice"),
        (
            "services:\n  web:\n    image: r.test/shop:${TAG:-1}\n",
            "F:3:12: `r.test/shop:${TAG:-1}` is another image wherever its variables are others: write the image",
        ),
        (
            "services:\n  web:\n    image: {{ .Values.image }}\n",
            "F:3:1: it is a template (`{{`): what it says is known only once it is rendered",
        ),
        (
            "services:\n  web:\n    image: \"{{ image }}\"\n",
            "F:3:12: `{{ image }}` is a template: which image it is, is known only once it is rendered",
        ),
        ("services:\n\tweb:\n\t\timage: a:1\n", "F:2:2: tabs disallowed"),
        (
            "services: {web: {image: a:1}}\n---\nservices: {}\n",
            "F:3:1: expected one document, and there is another: nobody can tell which one counts",
        ),
        (
            "services:\n  web:\n    build: .\n",
            "F:2:3: services.web: `image` is missing: an environment runs what it names",
        ),
        (
            "services:\n  web:\n    extends: {service: base}\n",
            "F:2:3: services.web: its image comes from another service by `extends`",
        ),
        (
            "services:\n  web:\n    image: >-\n      r.test/apps/shop:1\n",
            "F:4:7: services.web: its image cannot be changed here, because it is written as a block of lines",
        ),
        (
            "services:\n  web:\n    image: !!str r.test/apps/shop:1\n",
            "F:3:12: services.web: its image cannot be changed here, because it has a tag",
        ),
        (
            "services:\n  web:\n    image: \"r.test/apps/sh\\x6fp:1\"\n",
            "F:3:12: services.web: its image cannot be changed here, because it is empty, written with escapes",
        ),
        ("services:\n  web: {image: ''}\n", "F:2:16: it names no image"),
        ("services:\n  My_Web: {image: a:1}\n", "F:2:3: `My_Web` is not a name"),
        (
            "services: {}\n",
            "F:1:1: services.web is not declared here, and onramp adds nothing to a file of this format",
        ),
        ("", "F:1:1: services.web is not declared here, and onramp adds nothing to a file of this format"),
        ("[a]\n", "F:1:1: expected a table"),
    ];
    for (text, expected) in cases {
        let message = refused(&compose(), text, &["web"]);
        assert!(message.starts_with(expected), "{text}\n{message}");
    }
    let together =
        format("kind = \"compose\"\npath = \"{environment}/{app}.yaml\"\nimage = { web = [\"web\", \"cron\"] }");
    let text = "services:\n  web:\n    image: r.test/apps/shop@OLD\n  cron:\n    image: 'r.test/apps/shop@OLD'\n";
    makes(&together, text, &text.replace("OLD", "NEW"));
}

#[test]
fn kustomize_gets_a_digest_in_the_place_of_a_tag() {
    let entry = |rest: &str| {
        format!(
            "resources: [../../base]\nimages:\n- name: web   # as the base has it\n  newName: r.test/apps/shop\n{rest}- {{name: db, newTag: '11'}}\n"
        )
    };
    makes(&kustomize(), &entry("  newTag: v1 # the last\n"), &entry("  digest: NEW # the last\n"));
    makes(&kustomize(), &entry("  digest: \"OLD\"\n"), &entry("  digest: \"NEW\"\n"));
    makes(&kustomize(), &entry("  \"newTag\": 1.0\n  digest: OLD\n"), &entry("  digest: NEW\n"));
    let flow = "images: [{name: r.test/apps/shop, newTag: \"1\"}]\n";
    let table = format(
        "kind = \"kustomize\"\npath = \"{environment}/{app}/kustomization.yaml\"\nimage = { web = \"r.test/apps/{app}\" }",
    );
    makes(&table, flow, "images: [{name: r.test/apps/shop, digest: \"NEW\"}]\n");
    let services = read(&kustomize(), &entry("  newTag: v1\n")).unwrap();
    assert_eq!(services[&name("db")].image.as_ref().unwrap().to_string(), "docker.io/library/db:11");

    let twice = "images:\n- name: web\n  newTag: '1'\n- name: web\n  digest: OLD\n";
    assert_eq!(
        refused(&kustomize(), twice, &["web"]),
        "F:4:3: `web` is here and at F:2: nobody can tell which one counts"
    );
    let bare = refused(&kustomize(), "images:\n- name: web\n  newName: r.test/apps/shop\n", &["web"]);
    assert!(
        bare.starts_with("F:2:3: it has no tag and no digest: which image it is, is known only elsewhere"),
        "{bare}"
    );
    let other = refused(&kustomize(), "images:\n- name: web\n  newTag: '1'\n", &["web"]);
    assert!(other.ends_with("it is of another repository: write `newName: r.test/apps/shop` there"), "{other}");
    let first = refused(&kustomize(), &entry("  newTag: 1 # why\n  digest: OLD\n"), &["web"]);
    assert!(first.ends_with("it does not have a line of its own"), "{first}");
    let unnamed = refused(&kustomize(), "images:\n- name: r.test/apps/shop\n  newTag: '1'\n", &["web"]);
    assert!(unnamed.starts_with("F:2:9: `r.test/apps/shop` is not a name"), "{unnamed}");
}

#[test]
fn helm_values_are_one_text_or_parts() {
    let parts = |rest: &str| {
        format!(
            "web:\n  image:\n    repository: r.test/apps/shop\n{rest}    pullPolicy: Always\ncron: {{schedule: daily}}\n"
        )
    };
    makes(&helm(), &parts("    tag: \"1.2\"\n    digest: \"\"\n"), &parts("    tag: \"1.2\"\n    digest: \"NEW\"\n"));
    let pinned = format!("    tag: \"{}@NEW\"\n", digest("new").short());
    assert_eq!(edit(&helm(), &parts("    tag: \"1.2@OLD\"\n"), &["web"]).unwrap(), with_digests(&parts(&pinned)));
    assert_eq!(edit(&helm(), &parts(&pinned), &["web"]).unwrap(), with_digests(&parts(&pinned)), "again is nothing");
    let registry = "web:\n  image: {registry: r.test, repository: apps/shop, digest: OLD}\n";
    makes(&helm(), registry, &registry.replace("OLD", "NEW"));
    let moved = "web:\n  image: {registry: other.test, repository: old/shop, digest: OLD}\n";
    makes(&helm(), moved, &registry.replace("OLD", "NEW"));
    makes(&helm(), "web:\n  image: r.test/apps/shop:1\n", "web:\n  image: r.test/apps/shop@NEW\n");
    let table = format(
        "kind = \"helm\"\npath = \"{app}/{environment}.yaml\"\nimage = { web = \"image\", db = \"deep.db.image\" }",
    );
    makes(
        &table,
        "image:\n  repository: r.test/apps/shop\n  digest: OLD\n",
        "image:\n  repository: r.test/apps/shop\n  digest: NEW\n",
    );
    let deep = "deep:\n  db:\n    image: mariadb:11\nimage: r.test/apps/shop:1\n";
    assert_eq!(read(&table, deep).unwrap().len(), 2);

    let tag = refused(&helm(), &parts("    tag: v1\n"), &["web"]);
    assert!(
        tag.starts_with(
            "F:3:5: services.web: its image cannot be changed here, because it has no digest: write `digest: \"\"`"
        ),
        "{tag}"
    );
    let braces = refused(&helm(), &parts("    tag: \"{{ .Chart.AppVersion }}\"\n"), &["web"]);
    assert!(braces.contains("is a template"), "{braces}");
    assert!(
        refused(&helm(), "web:\n  image: {tag: v1}\n", &["web"]).ends_with("services.web: `repository` is missing")
    );
}

const MANIFESTS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n---\n# the page\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n  template:\n    spec:\n      initContainers:\n      - name: migrate\n        image: r.test/apps/migrate@OLD\n      containers:\n      - name: web\n        image: r.test/apps/shop@OLD # pinned\n        ports: [{containerPort: 8080, name: http}]\n        env:\n        - {name: A, value: \"1\"}\n        - name: P\n          valueFrom: {secretKeyRef: {name: shop, key: password}}\n        readinessProbe: {httpGet: {path: /health, port: http}}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers: [{name: nightly, image: 'r.test/apps/nightly:1'}]\n";

#[test]
fn manifests_are_read_in_every_document() {
    let new = MANIFESTS.replace("r.test/apps/shop@OLD", "r.test/apps/shop@NEW");
    makes(&kubernetes(""), MANIFESTS, &new);
    let services = read(&kubernetes(""), MANIFESTS).unwrap();
    let web = &services[&name("web")];
    assert_eq!((web.port, web.replicas, web.env.len()), (Some(8080), Some(2), 2));
    assert_eq!(web.ready.as_ref().unwrap().http, "/health");
    let names: Vec<&str> = services.keys().map(Name::as_str).collect();
    assert_eq!(names, ["migrate", "nightly", "web"]);
    let list = "kind: List\nitems:\n- kind: Pod\n  metadata: {name: p}\n  spec:\n    containers:\n    - {name: web, image: r.test/apps/shop@OLD}\n";
    makes(&kubernetes(""), list, &list.replace("OLD", "NEW"));
}

#[test]
fn containers_are_told_apart_or_named_together() {
    let pod = |workload: &str, containers: &str| {
        format!("kind: Pod\nmetadata: {{name: {workload}}}\nspec:\n  containers:\n{containers}---\n")
    };
    let app = "  - {name: app, image: 'r.test/apps/shop@OLD'}\n";
    let both = pod("web", app) + &pod("worker", app);
    let same = refused(&kubernetes(""), &both, &["app"]);
    assert_eq!(same, "F:11:5: services.app: a container `app` is here and at F:5: nobody can tell which one is meant");
    let by_workload = kubernetes("image = \"{service}/app\"");
    assert_eq!(read(&by_workload, &both).unwrap().len(), 2);
    let two = refused(&by_workload, &both, &["web"]);
    assert_eq!(
        two,
        "F:5:24: services.web: `r.test/apps/shop@OLD` is here and at F:11: nobody can tell which of them are meant"
    );
    let together = kubernetes("image = { web = [\"web/app\", \"worker/app\"] }");
    makes(&together, &both, &both.replace("OLD", "NEW"));
    let others = both.replacen("OLD", "NEW", 1);
    let message = refused(&together, &others, &["web"]);
    assert!(message.contains("F:11:24: services.web: its image is `r.test/apps/shop@OLD` here and"), "{message}");

    let template = refused(&kubernetes(""), &format!("# {{{{- if .Values.on }}}}\n{}", pod("web", app)), &["web"]);
    assert!(template.starts_with("F:1:1: it is a template"), "{template}");
}

#[test]
fn hiera_has_a_key_a_service() {
    let text = "# data\n---\nprofile::shop::web::image: 'r.test/apps/shop@OLD'  # pinned\nprofile::shop::port: 80\nprofile::auth::api::image: r.test/apps/auth:1\n";
    makes(&hiera(), text, &text.replace("OLD", "NEW"));
    assert_eq!(read(&hiera(), text).unwrap().len(), 1, "another app's is another file's");
    let looked_up = refused(&hiera(), "profile::shop::web::image: \"%{lookup('image')}\"\n", &["web"]);
    assert_eq!(looked_up, "F:1:28: services.web: Hiera fills its image in at every lookup");
}

#[test]
fn nothing_is_added_to_files_of_other_formats() {
    let add = |format: &Format, text: Option<&str>| {
        let service = Service { image: Some(image("new")), ..Service::default() };
        let edits = [(name("web"), Edit::Add(Box::new(service)))].into();
        format.edit(&name("test"), &name("shop"), text, &edits).unwrap_err()
    };
    for format in [compose(), kustomize(), helm(), kubernetes(""), hiera()] {
        let error = add(&format, None);
        assert!(error.to_string().contains("services.web is not declared here"), "{error}");
        assert!(error.hint().unwrap().contains(digest("new").as_str()), "{:?}", error.hint());
        assert!(!format.adds());
    }
}

#[test]
fn what_would_run_unjudged_is_refused() {
    let table = |kind: &str, key: &str| {
        format(&format!("kind = \"{kind}\"\npath = \"{{environment}}/{{app}}.yaml\"\nimage = {{ web = \"{key}\" }}"))
    };
    let entry = "- {name: web, newName: r.test/apps/shop, digest: OLD}\n";
    let images = |rest: &str| format!("images:\n{entry}{rest}");
    let pod = "spec:\n  containers:\n  - {name: web, image: 'r.test/a:1'}\n  - {name: spy, image: 'r.test/spy:1'}\n";
    let cases = [
        (kustomize(), format!("Images:\n{entry}"), "kustomize reads `Images` as `images`"),
        (kustomize(), format!("image\u{17f}:\n{entry}"), "as `images`"),
        (kustomize(), "images:\n- {name: web, digest: OLD, newname: r.test/spy}\n".to_owned(), "as `newName`"),
        (
            kustomize(),
            "images:\n- {name: web, newTag: 'a', tagSuffix: b}\n".to_owned(),
            "`tagSuffix` makes another tag",
        ),
        (kustomize(), images("- {name: 'r.*', digest: NEW}\n"), "`r.*` is a pattern to kustomize"),
        (table("kustomize", "web"), images("- {name: spy, newTag: 'a'}\n"), "`spy` is of no service"),
        (
            kustomize(),
            "images:\n- {name: web, newName: db, digest: OLD}\n- {name: db, digest: NEW}\n".to_owned(),
            "`newName: db` is the `name` at F:3",
        ),
        (kustomize(), "images:\n- {name: web, newTag: 1.10}\n".to_owned(), "quote it, \"1.10\""),
        (helm(), "web: {image: {repository: r.test/a, tag: 1.10}}\n".to_owned(), "quote it, \"1.10\""),
        (helm(), "web: {image: {repository: r.test/a}}\n".to_owned(), "it has no tag and no digest"),
        (hiera(), "'<<': {a: b}\n".to_owned(), "`<<` is another key to Puppet"),
        (hiera(), "a: &a {b: c}\n<<: *a\n".to_owned(), "`<<` is another key to Puppet"),
        (hiera(), "':profile::shop::web::image': r.test/spy:1\n".to_owned(), "is another key to Puppet"),
        (table("hiera", "web"), "web: 80\n".to_owned(), "services.web: an image has a tag"),
        (table("compose", "web"), "services: {spy: {image: 'a:1'}}\n".to_owned(), "`spy` is of no service"),
        (table("kubernetes", "web"), pod.to_owned(), "`/spy` is of no service"),
        (
            table("kubernetes", "web"),
            pod.replace("  - {name: spy", "  ephemeralContainers:\n  - {name: spy"),
            "`/spy` is of no service",
        ),
        (kubernetes(""), pod.replace("name: spy, ", ""), "F:4:5: a container without a name"),
        (kubernetes(""), pod.replace("name: spy", "name: ''"), "F:4:5: a container without a name"),
    ];
    for (format, text, expected) in cases {
        let message = refused(&format, &text, &["web"]);
        assert!(message.contains(expected), "{text}\n{message}");
    }
    let port = format("kind = \"hiera\"\npath = \"{environment}/{app}.yaml\"\nimage = \"profile::{app}::{service}\"");
    let names = read(&port, "profile::shop::port: 80\nprofile::shop::web: r.test/a:1\n").unwrap();
    assert_eq!(names.into_keys().collect::<Vec<_>>(), [name("web")]);
}

#[test]
fn a_service_that_goes_where_another_file_speaks_then_is_refused() {
    let (old, none) = ([(name("web"), Service::default())].into(), BTreeMap::new());
    let keeps = |format: &Format, new| format.keeps(Path::new("f.yaml"), "", &old, new);
    for format in [kustomize(), helm(), hiera()] {
        let error = keeps(&format, &none).unwrap_err();
        assert_eq!(
            (error.class(), error.to_string().contains("services.web is gone")),
            (crate::error::Class::Config, true)
        );
        assert!(keeps(&format, &old).is_ok());
    }
    for format in [compose(), kubernetes(""), Format::default()] {
        assert!(keeps(&format, &none).is_ok());
    }
}

#[test]
fn mistakes_in_state_toml_are_at_their_place() {
    let message =
        |lines: &str| policy::parse(Path::new("state.toml"), &format!("schema = 1\n[format]\n{lines}\n")).unwrap_err();
    for (lines, expected) in [
        ("kind = \"kustomise\"\npath = \"{environment}/{app}\"", "state.toml:3:8: unknown value `kustomise`"),
        (
            "kind = \"helm\"\npath = \"{environment}/{app}\"",
            "state.toml:3:8: `image` is missing: which key has the image of which service?",
        ),
        (
            "kind = \"compose\"",
            "state.toml:3:8: `path` is missing: where are the files, with {environment} and {app} in it?",
        ),
        (
            "kind = \"compose\"\npath = \"../{environment}/{app}\"",
            "state.toml:4:8: `../{environment}/{app}`: that leads out of the project",
        ),
        (
            "kind = \"onramp\"\nimage = \"{service}\"",
            "state.toml:4:9: `image` is of other formats: here services have their own names",
        ),
        ("kind = \"compose\"\npaths = \"x\"", "state.toml:4:1: unknown key `paths`"),
    ] {
        assert_eq!(message(lines).to_string(), expected);
    }
}

#[test]
fn what_the_last_of_many_merges_brings_is_read() {
    let tables: String = (0..150).map(|at| format!("x-{at}: &m{at} {{ key-{at}: {at} }}\n")).collect();
    let all: Vec<String> = (0..150).map(|at| format!("*m{at}")).collect();
    let image = format!("x-image: &image {{ image: \"r.test/apps/shop@{}\" }}\n", Digest::of(b"shop"));
    let text = format!("{tables}{image}services:\n  web:\n    <<: [{}, *image]\n", all.join(", "));
    let told = format!("{:?}", read(&compose(), &text).unwrap());
    assert!(told.contains(Digest::of(b"shop").as_str()), "{told}");
}
