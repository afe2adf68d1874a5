//! What the commands of a catalog's block read outside the project and send: declared, shown, allowed with the commands.

use onramp::error::Class;

use crate::catalog_repository::{CatalogRepository, WEB};
use crate::run::Machine;

const OWNER: &str = "owner = \"web@acme.test\"\n";
const TASK: &str = "\n[[tasks]]\nrun = \"echo made > made.txt\"\n";

/// A block that runs something, with what it declares of that.
fn web(declared: &str) -> String {
    WEB.replace(OWNER, &format!("{OWNER}{declared}")) + TASK
}

#[test]
fn what_a_block_declares_is_shown_and_asked_for_again_only_when_it_grows() {
    let mut machine = Machine::new();
    let catalog = CatalogRepository::small(&mut machine);
    let release = |version: &str, declared: &str| {
        catalog.file("blocks/web/block.toml", &web(declared)).release("web", version);
    };
    release("1.1.0", "reads = [\"~/.netrc\"]\nsends = [\"registry.acme.test\"]\n");
    let machine = catalog.machine();
    let refused = machine.onramp("new web shop --defaults").fails(Class::Security);
    let wanted = "run `echo made > made.txt` (block.toml:31); read ~/.netrc (block.toml:7); send to registry.acme.test (block.toml:8)";
    assert!(refused.stderr.contains(wanted), "{refused}");
    assert!(!machine.path("shop").exists());

    let made = machine.onramp("new web shop --defaults --trust").ok();
    let plan = "  run     echo made > made.txt (block.toml:31)\n  \
                read    ~/.netrc (block.toml:7)\n  \
                send to registry.acme.test (block.toml:8)\n";
    assert!(made.stderr.contains(plan), "{made}");
    let planned = machine.onramp("new web other --defaults --dry-run --json").ok().json();
    assert_eq!(planned["declares"][1]["kind"], "send", "{planned}");
    assert_eq!(planned["declares"][1]["what"], "registry.acme.test", "{planned}");

    // The same at another place, and less of it, is what was allowed.
    release("1.2.0", "sends = [\"registry.acme.test\"]\n");
    let updated = machine.onramp("update").dir("shop").ok();
    assert!(updated.stderr.contains("  send to registry.acme.test (block.toml:7)\n"), "{updated}");
    assert!(!updated.stderr.contains("read "), "{updated}");
    release("1.3.0", "sends = [\"registry.acme.test\", \"elsewhere.test\"]\n");
    let refused = machine.onramp("update").dir("shop").fails(Class::Security);
    assert!(refused.stderr.contains("have not allowed: send to elsewhere.test (block.toml:7)"), "{refused}");
    let without = machine.onramp("update --skip-tasks").dir("shop").ok();
    assert!(!without.stderr.contains("send to"), "{without}");

    release("1.4.0", "reads = [\" \"]\n");
    let wrong = machine.onramp("new web wrong --defaults").fails(Class::Config);
    assert!(wrong.stderr.contains("block.toml of block web 1.4.0:7:10: reads: an empty text names nothing"), "{wrong}");
}
