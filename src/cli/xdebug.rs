//! `--xdebug` of `onramp up`, and the program in the background that it starts.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Verdict};
use super::up::{self, BroughtUp};
use crate::engine::Engine;
use crate::error::Class;
use crate::name::Name;
use crate::sandbox::debug::{self, Found, Xdebug, relay};
use crate::sandbox::plan::{Action, Begin};
use crate::sandbox::{SandboxId, SandboxKey, View, background};
use crate::task::blocking;
use crate::turn::Turn;

/// What the relay says once it listens.
const READY: &str = "ready";

/// Which service is debugged, and whether its image has to be told to load Xdebug.
pub async fn settle(
    cx: &Context,
    engine: &Engine,
    view: &View,
    asked: Option<&Name>,
    editor: u16,
) -> Result<Xdebug, Failure> {
    let service = service(view, asked)?;
    let lock = cx.locked_images(view).await?;
    let state = cx.paths.state.clone();
    let key = blocking(move || SandboxKey::open(&state)).await?;
    let plan = view.plan(engine, &lock.lock, &key, &Begin::AsItWas).await?;
    let found = plan
        .services
        .iter()
        .find(|planned| planned.service.service == service && planned.service.app == view.id.project);
    let image = found.map(|planned| planned.image.clone()).unwrap_or_default();
    if engine.image(&image).await?.is_none() {
        if cx.dry_run {
            cx.observer.note(&format!("whether the image of {service} has Xdebug shows once it is here"));
            return Ok(Xdebug { service, load: false, editor });
        }
        up::make(cx, engine, view.clone(), &Begin::AsItWas, None).await?;
    }
    match debug::look(engine, &view.id, &image).await? {
        Found::Loaded => Ok(Xdebug { service, load: false, editor }),
        Found::There => Ok(Xdebug { service, load: true, editor }),
        Found::NoPhp => Err(Failure::usage(format!("the image of {service} runs no `php`"))),
        Found::Missing => Err(Failure::new(Class::Config, format!("the image of {service} has no Xdebug"))
            .hint(
                "install it in its Dockerfile: `RUN apt-get update && apt-get install -y php-xdebug && phpdismod xdebug` on Debian,\n\
                 `RUN pecl install xdebug` on PHP's own images; onramp loads it only where --xdebug asks for it",
            )
            .next(format!("onramp exec {service} -- php -m"))),
    }
}

/// The service that was asked for, or the only one that is built here.
fn service(view: &View, asked: Option<&Name>) -> Result<Name, Failure> {
    let own: Vec<&Name> = view.members.iter().filter(|member| member.own).map(|member| &member.id.service).collect();
    if let Some(asked) = asked {
        return match own.iter().find(|name| **name == asked) {
            Some(name) => Ok((*name).clone()),
            None => Err(Failure::usage(format!("onramp.toml has no [services.{asked}]"))),
        };
    }
    let built = view.members.iter().filter(|member| member.own && member.service.build.is_some());
    let built: Vec<&Name> = built.map(|member| &member.id.service).collect();
    match built[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage("no service here has `build`: name one with --xdebug=SERVICE")),
        _ => Err(Failure::usage("several services here have `build`: name one with --xdebug=SERVICE")),
    }
}

/// Sees to it that the relay of a sandbox that is up runs, and says where the editor is reached.
pub async fn connect(cx: &Context, brought: &BroughtUp, xdebug: &Xdebug) -> Result<(), Failure> {
    let editor = xdebug.editor;
    let BroughtUp { view, services, .. } = brought;
    let kept = |action| action == Action::Keep;
    let kept = services.iter().any(|running| running.service.service == xdebug.service && kept(running.action));
    // A service that was kept may have one.
    if !kept || Turn::take(&cx.paths.state, &turn_on(&view.id, &xdebug.service)).is_ok() {
        start(cx, view, xdebug).await?;
    }
    cx.observer.note(&format!(
        "Xdebug of {} reaches an editor that listens at 127.0.0.1:{editor} of this machine, until `onramp up` without --xdebug",
        xdebug.service
    ));
    Ok(())
}

/// Starts the relay, and waits until it listens.
async fn start(cx: &Context, view: &View, Xdebug { service, editor, .. }: &Xdebug) -> Result<(), Failure> {
    let mut command = background::command(&view.project.root)?;
    command.args(["xdebug-relay", service.as_str(), &editor.to_string()]).stdout(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut relay =
        command.spawn().map_err(|error| Failure::new(Class::Io, format!("cannot start onramp: {error}")))?;
    let said = BufReader::new(relay.stdout.take().expect("it is piped"));
    let mut lines = said.lines();
    match tokio::time::timeout(cx.timeout, lines.next_line()).await {
        Ok(Ok(Some(line))) if line == READY => Ok(()),
        Ok(Ok(Some(line))) => Err(Failure::new(Class::Env, format!("Xdebug cannot be relayed: {line}"))),
        _ => Err(Failure::new(Class::Env, "Xdebug cannot be relayed: nothing listens in the container")
            .next(format!("onramp xdebug-relay {service} {editor}"))),
    }
}

fn turn_on(id: &SandboxId, service: &Name) -> String {
    format!("the debugging of {service} in {}", crate::sandbox::turn_on(id.as_str()))
}

/// Bring Xdebug's connections from a service to the editor on this machine, as long as its container is there.
#[derive(clap::Args)]
pub struct Arguments {
    /// The service
    service: Name,
    /// The loopback port that the editor listens on
    editor: u16,
}

impl Arguments {
    /// Relays until the container is gone.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = crate::sandbox::view::id(&cx.project()?);
        let engine = cx.engine().await?;
        // One for the container that this one took over from is about to end.
        let (state, what) = (cx.paths.state.clone(), turn_on(&id, &self.service));
        let _turn = blocking(move || Turn::wait(&state, &what)).await?;
        let name = id.container(&id.project, &self.service);
        let found = engine.containers(&[]).await?.into_iter().find(|container| container.name == name);
        let Some(container) = found else {
            return Err(crate::sandbox::Error::NotUp { sandbox: id.to_string() }.into());
        };
        relay::run(&engine, &container.id, self.editor, || {
            output::print(&format!("{READY}\n"));
        })
        .await?;
        Ok(Verdict::Ok)
    }
}
