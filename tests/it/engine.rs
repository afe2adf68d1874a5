//! The engine, asked by the tests themselves: to break what is there, and to wait for what happens.

use std::collections::HashMap;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    EventsOptions, ListImagesOptions, ListNetworksOptions, RemoveContainerOptions, RemoveVolumeOptions,
};
use futures_util::StreamExt;
use onramp::sandbox::SandboxId;

/// Runs an exchange with the engine to its end.
fn with_engine<T>(exchange: impl AsyncFnOnce(Docker) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let docker = Docker::connect_with_host(&host).unwrap().negotiate_version().await.unwrap();
        exchange(docker).await
    })
}

/// Starts a program, and returns at the moment when the first container of this project's sandbox was made.
pub fn until_created(project: &Path, start: impl FnOnce() -> Child) -> Child {
    let label = format!("dev.onramp.project-dir={}", project.canonicalize().unwrap().display());
    until("create", ("label", &label), start)
}

/// Starts something, and returns at the moment when this first happened to a container.
pub fn until<T>(event: &str, which: (&str, &str), start: impl FnOnce() -> T) -> T {
    with_engine(async |docker| {
        let filters = [("type", "container"), ("event", event), which];
        let filters: HashMap<String, Vec<String>> =
            filters.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
        // What happens before the engine has heard of the subscription is told, too.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let since = Some(format!("{}.{:09}", now.as_secs(), now.subsec_nanos()));
        let mut events = docker.events(Some(EventsOptions { since, filters: Some(filters), ..Default::default() }));
        // The subscription is made by the first poll; the program starts after it.
        let mut first = events.next();
        assert!(futures_util::future::poll_immediate(&mut first).await.is_none(), "nothing has happened yet");
        let started = start();
        let event = tokio::time::timeout(Duration::from_mins(5), first).await;
        assert!(event.is_ok_and(|event| event.is_some_and(|event| event.is_ok())), "it happens to a container");
        started
    })
}

/// Removes a container and a volume, by force.
pub fn remove(container: &str, volume: &str) {
    with_engine(async |docker| {
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        docker.remove_container(container, Some(options)).await.unwrap();
        docker.remove_volume(volume, None::<RemoveVolumeOptions>).await.unwrap();
    });
}

/// Removes a container, by force.
pub fn remove_container(container: &str) {
    with_engine(async |docker| {
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        docker.remove_container(container, Some(options)).await.unwrap();
    });
}

/// All that the engine tells of a container.
pub fn described(container: &str) -> String {
    with_engine(async |docker| format!("{:?}", docker.inspect_container(container, None).await.unwrap()))
}

/// The address that a container has on its network.
pub fn address_of(container: &str) -> String {
    let inspected = with_engine(async |docker| docker.inspect_container(container, None).await.unwrap());
    let mut networks = inspected.network_settings.unwrap().networks.unwrap().into_values();
    networks.next().unwrap().ip_address.unwrap()
}

/// Removes a network.
pub fn remove_network(name: &str) {
    with_engine(async |docker| docker.remove_network(name).await.unwrap());
}

/// Ends a container, and leaves it there.
pub fn stop(container: &str) {
    with_engine(async |docker| {
        docker.stop_container(container, None::<bollard::query_parameters::StopContainerOptions>).await.unwrap();
    });
}

/// The names of the images that were built for the sandboxes of a project on its branch `main`.
pub fn images_of(project: &Path) -> Vec<String> {
    images_built_for(sandbox_of(project).as_str())
}

/// The names of the images that were built for a sandbox.
pub fn images_built_for(sandbox: &str) -> Vec<String> {
    with_engine(async |docker| {
        let prefix = format!("onramp-sandbox/{sandbox}.");
        let found = docker.list_images(None::<ListImagesOptions>).await.unwrap();
        found.into_iter().flat_map(|image| image.repo_tags).filter(|tag| tag.starts_with(&prefix)).collect()
    })
}

/// The sandbox of the project `shop` on its branch `main`.
pub fn sandbox_of(project: &Path) -> SandboxId {
    SandboxId::new(&"shop".parse().unwrap(), Some("main"), &project.canonicalize().unwrap())
}

/// The containers, networks and volumes of sandboxes beside that of the project `shop`.
pub fn beside(project: &Path) -> Vec<String> {
    let label = format!("dev.onramp.beside={}", sandbox_of(project));
    let filters = Some(HashMap::from([("label".to_owned(), vec![label])]));
    with_engine(async |docker| {
        let options = bollard::query_parameters::ListContainersOptions {
            all: true,
            filters: filters.clone(),
            ..Default::default()
        };
        let containers = docker.list_containers(Some(options)).await.unwrap();
        let options = bollard::query_parameters::ListNetworksOptions { filters: filters.clone() };
        let networks = docker.list_networks(Some(options)).await.unwrap();
        let options = bollard::query_parameters::ListVolumesOptions { filters: filters.clone() };
        let volumes = docker.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default();
        let containers = containers.into_iter().flat_map(|container| container.names.unwrap_or_default());
        let networks = networks.into_iter().filter_map(|network| network.name);
        containers.chain(networks).chain(volumes.into_iter().map(|volume| volume.name)).collect()
    })
}

/// The volumes that onramp made for projects in a directory.
pub fn volumes_of(directory: &Path) -> Vec<String> {
    let directory = directory.canonicalize().unwrap();
    let inside = |labels: &HashMap<String, String>| {
        labels.get("dev.onramp.project-dir").is_some_and(|project| Path::new(project).starts_with(&directory))
    };
    all_volumes().into_iter().filter(|volume| inside(&volume.labels)).map(|volume| volume.name).collect()
}

/// Those of them that hold the data of sandboxes.
pub fn data_of(directory: &Path) -> Vec<String> {
    let data = |name: &String| !label_of(name, "dev.onramp.sandbox").is_empty();
    volumes_of(directory).into_iter().filter(data).collect()
}

/// What a volume's label says; nothing where it has none.
pub fn label_of(volume: &str, label: &str) -> String {
    let found = all_volumes().into_iter().find(|found| found.name == volume);
    found.and_then(|found| found.labels.get(label).cloned()).unwrap_or_default()
}

/// Whether some volume lies on this one.
pub fn lies_on(layer: &str) -> bool {
    all_volumes()
        .iter()
        .any(|volume| volume.labels.get("dev.onramp.layers").is_some_and(|layers| layers.contains(layer)))
}

fn all_volumes() -> Vec<bollard::models::Volume> {
    with_engine(async |docker| {
        let found = docker.list_volumes(None::<bollard::query_parameters::ListVolumesOptions>).await.unwrap();
        found.volumes.unwrap_or_default()
    })
}

/// Ends a container by force.
pub fn kill(container: &str) {
    with_engine(async |docker| {
        docker.kill_container(container, None::<bollard::query_parameters::KillContainerOptions>).await.unwrap();
    });
}

/// Makes a volume with the labels of another one, but for these.
pub fn imitate(volume: &str, name: &str, others: &[(&str, &str)]) {
    let found = all_volumes().into_iter().find(|found| found.name == volume).unwrap();
    let mut labels = found.labels;
    labels.extend(others.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    with_engine(async |docker| {
        let request =
            VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels.clone()), ..Default::default() };
        docker.create_volume(request).await.unwrap();
    });
}

/// Makes another network under the name and with the labels of one, as an engine does for a request whose sender is gone.
pub fn imitate_network(name: &str) {
    with_engine(async |docker| {
        let all = docker.list_networks(None::<ListNetworksOptions>).await.unwrap();
        let labels = all.into_iter().find(|network| network.name.as_deref() == Some(name)).unwrap().labels;
        let request = NetworkCreateRequest { name: name.to_owned(), labels, ..Default::default() };
        docker.create_network(request).await.unwrap();
    });
}

/// How many networks have this name.
pub fn networks_named(name: &str) -> usize {
    with_engine(async |docker| {
        let all = docker.list_networks(None::<ListNetworksOptions>).await.unwrap();
        all.iter().filter(|network| network.name.as_deref() == Some(name)).count()
    })
}

/// Makes a volume that is nobody's.
pub fn create_volume(name: &str) {
    with_engine(async |docker| {
        let request = VolumeCreateRequest { name: Some(name.to_owned()), ..Default::default() };
        docker.create_volume(request).await.unwrap();
    });
}

/// Removes a volume; whether it was there.
pub fn remove_volume(name: &str) -> bool {
    with_engine(async |docker| docker.remove_volume(name, None::<RemoveVolumeOptions>).await.is_ok())
}

/// Makes an image of this machine's own shell and nothing else.
pub fn import_shell(repository: &str, tag: &str) {
    import(&["/bin/sh"], repository, tag);
}

/// Makes an image of programs of this machine and nothing else.
pub fn import(programs: &[&str], repository: &str, tag: &str) {
    let root = tempfile::tempdir().unwrap();
    let copy = |from: &str| {
        let to = root.path().join(from.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    for program in programs {
        let needed = std::process::Command::new("ldd").arg(program).output().unwrap();
        let needed = String::from_utf8(needed.stdout).unwrap();
        copy(program);
        needed.split_whitespace().filter(|word| word.starts_with('/')).for_each(copy);
    }
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", root.path()).unwrap();
    let rootfs = bytes::Bytes::from(archive.into_inner().unwrap());
    with_engine(async |docker| {
        let options = bollard::query_parameters::CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let made = docker.create_image(Some(options), Some(bollard::body_full(rootfs.clone())), None);
        futures_util::TryStreamExt::try_collect::<Vec<_>>(made).await.unwrap();
    });
}

/// Pushes an image to a registry that lets everybody in.
pub fn push(repository: &str, tag: &str) {
    with_engine(async |docker| {
        let options = bollard::query_parameters::PushImageOptions { tag: Some(tag.to_owned()), platform: None };
        let nobody = Some(bollard::auth::DockerCredentials::default());
        let pushed = docker.push_image(repository, Some(options), nobody);
        futures_util::TryStreamExt::try_collect::<Vec<_>>(pushed).await.unwrap();
    });
}

/// Takes an image's name away from the engine.
pub fn untag(name: &str) {
    with_engine(async |docker| {
        docker.remove_image(name, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
    });
}

/// The containers whose names begin so.
pub fn containers(prefix: &str) -> Vec<String> {
    with_engine(async |docker| {
        let options = bollard::query_parameters::ListContainersOptions { all: true, ..Default::default() };
        let found = docker.list_containers(Some(options)).await.unwrap();
        let names = found.into_iter().flat_map(|container| container.names.unwrap_or_default());
        names.map(|name| name.trim_start_matches('/').to_owned()).filter(|name| name.starts_with(prefix)).collect()
    })
}

/// The volumes of a container that are its alone: nobody gave them names or labels.
pub fn own_volumes(container: &str) -> Vec<String> {
    let mounts = with_engine(async |docker| docker.inspect_container(container, None).await.unwrap().mounts);
    let mounted: Vec<String> = mounts.into_iter().flatten().filter_map(|mount| mount.name).collect();
    let own = |volume: &bollard::models::Volume| volume.labels.is_empty() && mounted.contains(&volume.name);
    all_volumes().into_iter().filter(own).map(|volume| volume.name).collect()
}

/// Whether a volume of this name is there.
pub fn has_volume(name: &str) -> bool {
    all_volumes().iter().any(|volume| volume.name == name)
}
