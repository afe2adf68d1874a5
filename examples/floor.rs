//! The floor under `onramp up` and `onramp down`: the engine's API and nothing else, for `make bench`.
//!
//! Reads a specification from stdin, makes the network, makes and starts every container at once, probes the page every
//! 10 ms until it answers, then removes all of it at once. Prints the seconds of both as JSON.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, Mount, MountType, NetworkCreateRequest, NetworkingConfig,
    PortBinding,
};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use futures_util::future::try_join_all;
use serde::Deserialize;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Deserialize)]
struct Pair {
    network: String,
    containers: Vec<Container>,
    /// The container whose page is asked for, and the path.
    page: (String, String),
}

#[derive(Deserialize)]
struct Container {
    name: String,
    alias: String,
    image: String,
    env: Vec<String>,
    port: u16,
    volume: Option<(String, String)>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let pair: Pair = serde_json::from_str(&text)?;
    let docker = Docker::connect_with_local_defaults()?.negotiate_version().await?;

    let began = Instant::now();
    let request = NetworkCreateRequest { name: pair.network.clone(), ..Default::default() };
    docker.create_network(request).await?;
    let ports = try_join_all(pair.containers.iter().map(|container| start(&docker, &pair.network, container))).await?;
    let page = pair.containers.iter().position(|c| c.name == pair.page.0).ok_or("no such container")?;
    let at = ([127, 0, 0, 1], ports[page]).into();
    while !onramp::sandbox::ready::get(at, &pair.page.1).await.is_ok_and(|(line, _)| line.contains(" 200 ")) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let up = began.elapsed();

    let began = Instant::now();
    try_join_all(pair.containers.iter().map(|container| {
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        docker.remove_container(&container.name, Some(options))
    }))
    .await?;
    docker.remove_network(&pair.network).await?;
    println!("{{\"up\": {}, \"down\": {}}}", up.as_secs_f64(), began.elapsed().as_secs_f64());
    Ok(())
}

/// Makes and starts a container; the loopback port of its port.
async fn start(docker: &Docker, network: &str, container: &Container) -> Outcome<u16> {
    let port = format!("{}/tcp", container.port);
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some("0".to_owned()) };
    let mount = container.volume.as_ref().map(|(volume, target)| Mount {
        source: Some(volume.clone()),
        target: Some(target.clone()),
        typ: Some(MountType::VOLUME),
        ..Default::default()
    });
    let endpoint = EndpointSettings { aliases: Some(vec![container.alias.clone()]), ..Default::default() };
    let body = ContainerCreateBody {
        image: Some(container.image.clone()),
        env: Some(container.env.clone()),
        exposed_ports: Some(vec![port.clone()]),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            port_bindings: Some(HashMap::from([(port.clone(), Some(vec![binding]))])),
            mounts: Some(mount.into_iter().collect()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])),
        }),
        ..Default::default()
    };
    let options = CreateContainerOptions { name: Some(container.name.clone()), ..Default::default() };
    docker.create_container(Some(options), body).await?;
    docker.start_container(&container.name, None).await?;
    let inspect = docker.inspect_container(&container.name, None).await?;
    let ports = inspect.network_settings.and_then(|network| network.ports).unwrap_or_default();
    let bindings = ports.get(&port).cloned().flatten().unwrap_or_default();
    Ok(bindings.first().and_then(|binding| binding.host_port.clone()).ok_or("no port")?.parse()?)
}
