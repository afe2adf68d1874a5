//! Manifests of Kubernetes: the images of containers, init and ephemeral ones too, in every document of a file. A container is called by its
//! name, or by that of what it is in, too: `workload/container`.

use std::collections::HashMap;

use super::images::Filled;
use super::slot::{self, Slot, Slots, Written};
use super::yaml::{At, Doc};
use super::{Adapter, Declared, Edits, Of, present, unnamed};
use crate::document::{self, DocumentError};
use crate::name::Name;
use crate::project::manifest::check_service;
use crate::project::service::{EnvValue, Ready, Secret, Service};

pub(super) struct Kubernetes;

/// Where pods are described: of Deployments and their kin, of jobs at set times, and of a pod itself.
const PODS: [&[&str]; 3] =
    [&["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"], &["spec"]];

/// What of a pod runs images.
const KEYS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

impl Adapter for Kubernetes {
    fn read(&self, of: &Of<'_>, text: &str) -> Result<Declared, DocumentError> {
        let doc = parse(of, text)?;
        let found = find(of, &doc)?;
        let images = slot::images(&doc, &slots(&doc, &found)?)?;
        let mut declared = Declared::default();
        for container in found {
            let image = images.get(&container.service).cloned();
            let service = Service { image, ..facts(&doc, &container) };
            check_service(&service)
                .map_err(|why| doc.wrong(&container.at, &format!("services.{}: {why}", container.service)))?;
            declared.services.entry(container.service).or_insert(service);
        }
        Ok(declared)
    }

    fn edit(&self, of: &Of<'_>, text: Option<&str>, edits: &Edits) -> Result<String, DocumentError> {
        let text = present(of, text, edits)?;
        parse(of, text)?;
        slot::edit(of, text, edits, |doc| slots(doc, &find(of, doc)?))
    }
}

/// A container, and the workload that it is in.
struct Container {
    service: Name,
    called: String,
    at: At,
    resource: At,
}

fn parse<'t>(of: &Of<'t>, text: &'t str) -> Result<Doc<'t>, DocumentError> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        // A template may hide in comments, where what reads YAML does not see it.
        if line.trim_start().starts_with('#') && line.contains("{{") {
            let message = "it is a template (`{{`): what it says is known only once it is rendered".to_owned();
            return Err(document::wrong(of.path, text, offset, message));
        }
        offset += line.len();
    }
    Doc::parse(of.path, text)
}

fn find(of: &Of<'_>, doc: &Doc<'_>) -> Result<Vec<Container>, DocumentError> {
    let names = of.names();
    let mut found = Vec::new();
    let mut resources: Vec<At> = doc.documents().collect();
    let lists: Vec<At> = resources.iter().filter_map(|at| doc.get(at, "items")).collect();
    resources.extend(lists.iter().flat_map(|items| doc.items(items)));
    for resource in resources {
        let workload = doc.find(&resource, &["metadata", "name"]);
        let workload = workload.as_ref().and_then(|at| doc.said(at)).unwrap_or_default();
        let pods = PODS.iter().filter_map(|way| doc.find(&resource, way));
        let containers =
            pods.flat_map(|pod| KEYS.map(|key| doc.get(&pod, key).map(|at| doc.items(&at)).unwrap_or_default()));
        for at in containers.flatten() {
            let name = doc.get(&at, "name");
            let name = name.as_ref().and_then(|name| doc.said(name)).filter(|name| !name.is_empty());
            // It would run, or keep the whole file from running; nobody could say which service it is.
            let name = name
                .ok_or_else(|| doc.wrong(&at, "a container without a name: nobody can tell of which service it is"))?;
            let called = match &names {
                Filled::Pattern(..) if names.is_qualified() => vec![format!("{workload}/{name}")],
                Filled::Pattern(..) => vec![name.to_owned()],
                Filled::Table(_) => vec![format!("{workload}/{name}"), name.to_owned()],
            };
            let whole = called[0].clone();
            let count = found.len();
            for called in called {
                let hint =
                    "`image` of [format] in state.toml says which service it is of: image = { web = \"container\" }";
                let service =
                    names.service(&called).map_err(|why| doc.wrong(&at, &why).hinted(Some(hint.to_owned())))?;
                if let Some(service) = service {
                    found.push(Container { service, called, at, resource });
                    break;
                }
            }
            if found.len() == count {
                return Err(unnamed(doc, &at, &whole));
            }
        }
    }
    Ok(found)
}

/// The images. One name is one container's: two of one name are two services, and nobody said so.
fn slots(doc: &Doc<'_>, found: &[Container]) -> Result<Slots, DocumentError> {
    let mut slots = Slots::new();
    let mut seen: HashMap<&str, &At> = HashMap::new();
    for Container { service, called, at, .. } in found {
        if let Some(other) = seen.insert(called, at) {
            let message = format!(
                "services.{service}: a container `{called}` is here and at {}: nobody can tell which one is meant",
                doc.place(other)
            );
            let hint =
                "`image` of [format] in state.toml tells them apart by their workloads: image = { web = \"web/app\" }";
            return Err(doc.wrong(at, &message).hinted(Some(hint.to_owned())));
        }
        let at =
            doc.get(at, "image").ok_or_else(|| doc.wrong(at, &format!("services.{service}: `image` is missing")))?;
        slots.entry(service.clone()).or_default().push(Slot { at, written: Written::Whole });
    }
    Ok(slots)
}

/// What a container says beside its image, as far as a service has it.
fn facts(doc: &Doc<'_>, container: &Container) -> Service {
    let at = &container.at;
    let text = |at: &At, key: &str| doc.get(at, key).and_then(|at| doc.said(&at).map(str::to_owned));
    let words = |key: &str| -> Vec<String> {
        let items = doc.get(at, key).map(|at| doc.items(&at)).unwrap_or_default();
        items.iter().filter_map(|item| doc.scalar(item).map(str::to_owned)).collect()
    };
    let port = doc.get(at, "ports").and_then(|ports| text(doc.items(&ports).first()?, "containerPort")?.parse().ok());
    let probe = doc.find(at, &["readinessProbe", "httpGet"]).and_then(|probe| {
        let asked = text(&probe, "port")?;
        // A port may be asked for by its name.
        let same = asked.parse().ok() == port || asked.parse::<u16>().is_err();
        text(&probe, "path").filter(|path| path.starts_with('/') && same && port.is_some())
    });
    let mut service = Service { port, ready: probe.map(|http| Ready { http }), ..Service::default() };
    service.replicas = doc.find(&container.resource, &["spec", "replicas"]).and_then(|at| doc.said(&at)?.parse().ok());
    // As for Compose, the image's own entry point stays. What Kubernetes fills in is told by nobody here.
    let program = [words("command"), words("args")].concat();
    service.command = Some(program).filter(|words| !words.is_empty() && !words.iter().any(|word| word.contains("$(")));
    for variable in doc.get(at, "env").map(|env| doc.items(&env)).unwrap_or_default() {
        let Some(name) = text(&variable, "name") else { continue };
        let secret = doc.find(&variable, &["valueFrom", "secretKeyRef"]);
        let secret = secret.and_then(|from| Some(format!("{}/{}", text(&from, "name")?, text(&from, "key")?)));
        let plain = doc.get(&variable, "value").and_then(|at| doc.scalar(&at).map(str::to_owned));
        let value =
            secret.map(|secret| EnvValue::Secret(Secret { secret, file: false })).or(plain.map(EnvValue::Plain));
        service.env.extend(value.map(|value| (name, value)));
    }
    service
}
