//! What the engine is offered of an image: its manifest, or one of ours with the same config and the layers unpacked.
//!
//! A graph driver keeps what a layer unpacks to and forgets the bytes it came in, and unpacking is what takes an engine
//! longest. So we unpack beside it. The config names the digest of every layer unpacked, and the engine checks it: the image
//! has the same id whichever way its layers came.
//!
//! A layer that the engine has it knows by the digest under which it took it, and nobody can ask it which one that is.
//! One is presumed; the lowest layer that it would take all the same tells that the other one is right.

use std::collections::BTreeSet;

use serde_json::json;

use super::prepare::Wanted;
use super::room;
use crate::reference::Digest;

/// What unpacked layers are called, after the manifest that they are in.
const OCI: (&str, &str) = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.layer.v1.tar");
const DOCKER: (&str, &str) =
    ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.image.rootfs.diff.tar");

/// A manifest for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The manifest.
    pub bytes: Vec<u8>,
    /// Layers that the engine should not ask for: it has them.
    pub presumed: BTreeSet<Digest>,
}

/// The forms in which an image's layers are offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forms {
    /// Lowest first.
    layers: Vec<Layer>,
    /// How many of the lowest layers the engine should have.
    presumed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    packed: Digest,
    unpacked: Digest,
    form: Form,
    /// Whether it was offered in the other form, and wanted.
    wanted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Packed,
    Unpacked,
}

impl Layer {
    fn offered(&self) -> &Digest {
        match self.form {
            Form::Packed => &self.packed,
            Form::Unpacked => &self.unpacked,
        }
    }
}

impl Forms {
    /// The layers (packed, unpacked) as they lie in the registry.
    pub fn packed<'l>(layers: impl Iterator<Item = (&'l Digest, &'l Digest)>) -> Self {
        Self::all(layers, Form::Packed, 0)
    }

    /// The layers (packed, unpacked) unpacked; so many of the lowest the engine has.
    pub fn unpacked<'l>(layers: impl Iterator<Item = (&'l Digest, &'l Digest)>, shared: usize) -> Self {
        Self::all(layers, Form::Unpacked, shared)
    }

    fn all<'l>(layers: impl Iterator<Item = (&'l Digest, &'l Digest)>, form: Form, presumed: usize) -> Self {
        let layer = |(packed, unpacked): (&Digest, &Digest)| Layer {
            packed: packed.clone(),
            unpacked: unpacked.clone(),
            form,
            wanted: false,
        };
        Self { layers: layers.map(layer).collect(), presumed }
    }

    /// The manifest to offer.
    pub fn offer(&self, wanted: &Wanted) -> Offer {
        let manifest = &wanted.manifest;
        let presumed = self.layers[..self.presumed].iter().map(|layer| layer.offered().clone()).collect();
        if self.layers.iter().all(|layer| layer.form == Form::Packed) {
            let (digest, media_type) = (manifest.digest.clone(), manifest.media_type.clone());
            return Offer { digest, media_type, bytes: manifest.bytes.clone(), presumed };
        }
        let (media_type, layer_type) = if manifest.media_type == DOCKER.0 { DOCKER } else { OCI };
        let described = self.layers.iter().zip(wanted.layers()).map(|(layer, (packed, _))| match layer.form {
            Form::Packed => json!(packed),
            // How many bytes they are nobody knows yet; an engine takes it for a hint.
            Form::Unpacked => {
                let size = room::unpacked(&packed.media_type, packed.size);
                json!({ "mediaType": layer_type, "digest": layer.unpacked, "size": size })
            }
        });
        let layers: Vec<_> = described.collect();
        let document =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": wanted.config(), "layers": layers });
        let bytes = document.to_string().into_bytes();
        Offer { digest: Digest::of(&bytes), media_type: media_type.to_owned(), bytes, presumed }
    }

    /// Takes back an offer that ended badly. `lowest` is the lowest layer that the engine would have taken, by the short
    /// form of its digest. Tells whether there is another offer.
    pub fn next(&mut self, lowest: Option<&str>) -> bool {
        let lowest = self.layers[..self.presumed].iter().position(|layer| Some(layer.offered().short()) == lowest);
        let Some(at) = lowest else {
            // What the engine makes of packed layers is the last word.
            let last = self.layers.iter().all(|layer| layer.form == Form::Packed);
            self.layers.iter_mut().for_each(|layer| layer.form = Form::Packed);
            self.presumed = 0;
            return !last;
        };
        if self.layers[at].wanted {
            // It knows it by neither digest: it was built there. Above such a layer it asks for every other one.
            self.presumed = at;
            return true;
        }
        self.layers[at].wanted = true;
        // Who brought one layer most likely brought those above it.
        let form = if self.layers[at].form == Form::Packed { Form::Unpacked } else { Form::Packed };
        self.layers[at..self.presumed].iter_mut().for_each(|layer| layer.form = form);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Some layers, packed and unpacked; the two forms of an unpacked tar are one.
    fn layers(count: usize, plain: &[usize]) -> Vec<(Digest, Digest)> {
        let layer = |at: usize| {
            let unpacked = Digest::of(format!("layer {at}").as_bytes());
            let packed =
                if plain.contains(&at) { unpacked.clone() } else { Digest::of(format!("packed {at}").as_bytes()) };
            (packed, unpacked)
        };
        (0..count).map(layer).collect()
    }

    proptest::proptest! {
        /// An engine that has some layers of an image by one digest or the other, or by none, gets an offer in the end of which it
        /// asks for nothing that it could know.
        #[test]
        fn the_offers_end_with_what_the_engine_knows(
            known in proptest::collection::vec(0..3_u8, 0..12), above in 0..3_usize, plain in proptest::collection::vec(0..12_usize, 0..3),
        ) {
            let layers = layers(known.len() + above, &plain);
            let knows: BTreeSet<&Digest> = layers.iter().zip(&known).filter_map(|((packed, unpacked), known)| match known {
                0 => Some(packed),
                1 => Some(unpacked),
                _ => None,
            }).collect();
            let by_neither = layers.iter().position(|(packed, unpacked)| !knows.contains(packed) && !knows.contains(unpacked));
            let mut forms = Forms::unpacked(layers.iter().map(|(packed, unpacked)| (packed, unpacked)), known.len());
            let mut offers = 1;
            loop {
                let lowest = forms.layers.iter().position(|layer| !knows.contains(layer.offered()));
                match lowest {
                    Some(at) if at < forms.presumed => {
                        let short = forms.layers[at].offered().short().to_owned();
                        proptest::prop_assert!(forms.next(Some(&short)));
                    }
                    taken => {
                        proptest::prop_assert_eq!(taken, by_neither, "it takes what it has by no digest, and what lies above");
                        break;
                    }
                }
                offers += 1;
                proptest::prop_assert!(offers <= 2 * known.len() + 2);
            }
            // Whatever else ends badly ends with the layers as they lie in the registry, once.
            let unpacked = forms.layers.iter().any(|layer| layer.form == Form::Unpacked);
            proptest::prop_assert_eq!(forms.next(None), unpacked);
            proptest::prop_assert!(!forms.next(None));
        }
    }
}
