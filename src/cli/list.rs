//! `onramp list`

use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::many::{self, Found, Gone};
use crate::sandbox::room::{self, Room};
use crate::text;

/// List the sandboxes on this engine, of all projects.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp list
  onramp list --size    with the room that they take on the engine's disk
  onramp list --json
")]
pub struct Arguments {
    /// Measure the room that each takes. A large engine needs a while for it
    #[arg(long)]
    size: bool,
}

#[derive(Serialize)]
struct List {
    sandboxes: Vec<Found>,
    /// What golden copies and snapshots of other sandboxes take, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<Room>,
}

impl Arguments {
    /// Asks the engine.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let mut sandboxes = many::list(&engine, &cx.paths.state).await?;
        let others = if self.size {
            Some(cx.waiting("measure what sandboxes take", room::measure(&engine, &mut sandboxes)).await?)
        } else {
            None
        };
        cx.report(&List { sandboxes, others });
        Ok(Verdict::Ok)
    }
}

impl Report for List {
    fn text(&self) -> String {
        let others = self
            .others
            .filter(|others| *others != Room::default())
            .map(|others| format!("golden copies and snapshots of other sandboxes: {}\n", room_in_words(&others)));
        if self.sandboxes.is_empty() {
            return format!("no sandboxes\n{}", others.unwrap_or_default());
        }
        let sized = |found: &Found| {
            let mut row = row(found);
            row.extend(found.room.as_ref().map(room_in_words));
            row
        };
        let mut out = text::table(&self.sandboxes.iter().map(sized).collect::<Vec<_>>());
        out.extend(others);
        for url in self.sandboxes.iter().flat_map(|found| &found.named) {
            out.push_str(&format!("  {url}\n"));
        }
        out
    }
}

/// What takes how much, as far as it takes anything.
fn room_in_words(room: &Room) -> String {
    let Room { data, golden, snapshots, images, shared } = *room;
    let parts = [
        (data, "data"),
        (golden, "golden copies"),
        (snapshots, "snapshots"),
        (images, "images"),
        (shared, "shared with others"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(size, _)| *size > 0)
        .map(|(size, what)| format!("{} {what}", text::bytes(size)))
        .collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

/// A sandbox in a line: its name, what is of it, how old that is, where it belongs.
pub fn row(found: &Found) -> Vec<String> {
    let services = match (found.running, found.containers) {
        (_, 0) => "data only".to_owned(),
        (running, all) if running == all => format!("{running} up"),
        (running, all) => format!("{running} of {all} up"),
    };
    let services = match found.gate {
        Some(gate) if gate.listens.is_none() => format!("{services}, its gate is gone"),
        _ => services,
    };
    let with: Vec<&str> = found.with.iter().map(String::as_str).collect();
    let services = if with.is_empty() { services } else { format!("{services}, with {}", with.join(", ")) };
    let age = found.last.map(|last| text::age(last, Timestamp::now())).unwrap_or_default();
    let directory = text::neutral_line(&found.directory.display().to_string(), 200);
    let place = match found.gone {
        None => directory,
        Some(Gone::Directory) => format!("{directory} (gone)"),
        Some(Gone::Branch) => format!("{directory} (its branch is gone)"),
        Some(Gone::Process) => format!("{directory} (the process that it should end with is gone)"),
    };
    vec![text::neutral_line(&found.sandbox, 120), services, age, place]
}
