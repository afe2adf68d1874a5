//! The binary embeds `templates/`; a new file there must make a new binary.

fn main() {
    println!("cargo::rerun-if-changed=templates");
}
