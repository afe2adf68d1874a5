//! Making a data volume: empty, or as a clone of a frozen one.

use futures_util::future::try_join;

use super::carrier::{Carrier, Root};
use super::inventory::path_of;
use super::{Frozen, Inventory, Maker};
use crate::engine::{Backing, ContainerSpec, Error, Mount, Source, Volume, VolumeSpec, label};
use crate::sandbox::plan::sandbox_labels;

/// Makes an empty data volume.
pub async fn fresh(maker: &Maker<'_>, name: &str, labels: &[(String, String)]) -> Result<(), Error> {
    let base = layer(maker, "base").await?;
    over(maker, name, labels, &base, None).await
}

/// Makes a data volume that begins as the frozen one is.
pub async fn clone(maker: &Maker<'_>, frozen: &Frozen, name: &str, labels: &[(String, String)]) -> Result<(), Error> {
    if frozen.overlay {
        let lower = lower(maker, &frozen.layers, &frozen.name).await?;
        let upper = upper(maker, &Root::of_label(&frozen.root)).await?;
        over(maker, name, labels, &upper, Some(lower)).await?;
        // Whoever took them away in between did not see this one on them.
        let still = self::lower(maker, &frozen.layers, &frozen.name).await;
        if still.is_err() {
            maker.engine.remove_volume(name).await?;
        }
        still.map(drop)
    } else {
        let copy = copy(maker, &frozen.name).await?;
        over(maker, name, labels, &copy, None).await
    }
}

/// Layers that another one is laid over.
#[derive(Clone)]
pub(super) struct Lower {
    names: Vec<String>,
    paths: Vec<String>,
}

/// Finds the layers of a volume.
pub(super) async fn lower(maker: &Maker<'_>, layers: &[String], volume: &str) -> Result<Lower, Error> {
    let paths = Inventory::read(maker.engine).await?.paths(layers);
    let paths = paths.ok_or_else(|| Error::LayerGone { volume: volume.to_owned() })?;
    Ok(Lower { names: layers.to_vec(), paths })
}

/// Makes a volume through which a frozen one is read. Nobody's data, it goes as a layer does on which nothing lies.
pub(super) async fn trial(maker: &Maker<'_>, frozen: &Frozen, name: &str) -> Result<(), Error> {
    let lower = lower(maker, &frozen.layers, &frozen.name).await?;
    let upper = upper(maker, &Root::of_label(&frozen.root)).await?;
    over(maker, name, &trial_labels(maker), &upper, Some(lower)).await
}

/// What is written on a volume that is only tried.
pub(super) fn trial_labels(maker: &Maker<'_>) -> Vec<(String, String)> {
    maker.marks().into_iter().chain([(label::LAYER.to_owned(), "trial".to_owned())]).collect()
}

/// Makes a layer of this kind.
pub(super) async fn layer(maker: &Maker<'_>, kind: &str) -> Result<Volume, Error> {
    let labels = maker.marks().into_iter().chain([(label::LAYER.to_owned(), kind.to_owned())]).collect();
    maker.engine.create_volume(&VolumeSpec { name: None, labels, backing: Backing::Own }).await
}

/// Makes a layer that others lie under.
pub(super) async fn upper(maker: &Maker<'_>, root: &Root) -> Result<Volume, Error> {
    let upper = layer(maker, "upper").await?;
    let carrier = Carrier::make(maker, &upper.name).await?;
    let made = carrier.make_upper(root).await;
    carrier.end().await?;
    made.map(|()| upper)
}

/// Makes a layer with all that is in a volume.
pub(super) async fn copy(maker: &Maker<'_>, volume: &str) -> Result<Volume, Error> {
    let base = layer(maker, "base").await?;
    if maker.engine.place().plain {
        copy_inside(maker, volume, &base.name).await?;
        return Ok(base);
    }
    let (from, into) = try_join(Carrier::make(maker, volume), Carrier::make(maker, &base.name)).await?;
    let made = from.copy_into(&into).await;
    try_join(from.end(), into.end()).await?;
    made.map(|()| base)
}

/// Copies all that is in a volume by a program of the image's. An engine that tells whoever asks that files are the image's
/// user's, and not whose they are, can be asked for no others.
async fn copy_inside(maker: &Maker<'_>, volume: &str, into: &str) -> Result<(), Error> {
    let mount =
        |target: &str, volume: &str| Mount { target: target.to_owned(), source: Source::Volume(volume.to_owned()) };
    let spec = ContainerSpec {
        name: maker.id.carrier(into),
        image: maker.image.to_owned(),
        entrypoint: Some(["cp", "-a", "/onramp/from/.", "/onramp/into/"].map(str::to_owned).to_vec()),
        user: Some("0".to_owned()),
        labels: sandbox_labels(maker.id).collect(),
        network: "none".to_owned(),
        mounts: vec![mount("/onramp/from", volume), mount("/onramp/into", into)],
        ..ContainerSpec::default()
    };
    let engine = maker.engine;
    engine.remove_container(&spec.name).await?;
    engine.create_container(&spec).await?;
    engine.start_container(&spec.name).await?;
    let ended = engine.wait_for_exit(&spec.name).await?;
    let said = if ended.exit_code == 0 { Vec::new() } else { engine.last_words(&spec.name, 3).await };
    engine.remove_container(&spec.name).await?;
    if ended.exit_code == 0 {
        return Ok(());
    }
    Err(Error::Broken { verb: format!("copy what is in volume {volume}"), detail: said.join("; ") })
}

/// Makes the volume that is mounted: a layer as it is, or over others.
pub(super) async fn over(
    maker: &Maker<'_>,
    name: &str,
    labels: &[(String, String)],
    highest: &Volume,
    lower: Option<Lower>,
) -> Result<(), Error> {
    let mut layers = vec![highest.name.clone()];
    let backing = match lower {
        None => Backing::Directory(path_of(highest)),
        Some(lower) => {
            layers.extend(lower.names);
            let work = format!("{}/work", highest.mountpoint);
            Backing::Overlay { lower: lower.paths, upper: path_of(highest), work }
        }
    };
    let labels = labels.iter().cloned().chain([(label::LAYERS.to_owned(), layers.join(","))]).collect();
    maker.engine.create_volume(&VolumeSpec { name: Some(name.to_owned()), labels, backing }).await.map(drop)
}
