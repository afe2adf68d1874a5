//! Why an image could not be pulled, in words about that image: an engine speaks of the name that it took it by from us,
//! and a registry of blobs.

use std::path::Path;

use super::super::Error;
use crate::engine;
use crate::reference::ImageRef;

/// What went wrong between us and the engine that keeps images in `root`, of the image that it was to have.
pub fn of(image: &ImageRef, root: Option<&Path>, error: Error) -> Error {
    let image = || Box::new(image.clone());
    match error {
        Error::Refused { detail, .. } | Error::Engine(engine::Error::Stream { detail, .. })
            if engine::says_full(&detail) =>
        {
            Error::EngineFull { image: image(), root: root.map(Path::to_owned), detail }
        }
        Error::Engine(engine::Error::Broken { detail, .. } | engine::Error::NoEngine { detail, .. }) => {
            Error::EngineGone { image: image(), detail }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Fault};

    #[test]
    fn an_engine_without_room_is_a_full_disk_and_not_a_registry_that_failed() {
        let image: ImageRef = "r.test/base/php:8.2".parse().unwrap();
        for detail in [
            "failed to register layer: write /opt/x: no space left on device",
            "write /var/lib/docker/tmp/GetImageBlob1: Disk quota exceeded",
        ] {
            let streamed = engine::Error::Stream {
                verb: "pull",
                what: "127.0.0.1:1/onramp/0/0".to_owned(),
                detail: detail.to_owned(),
                tail: Vec::new(),
            };
            let refused = Error::Refused { image: Box::new(image.clone()), detail: detail.to_owned() };
            for error in [of(&image, None, streamed.into()), of(&image, None, refused)] {
                assert_eq!(error.to_string(), format!("the engine has no room for r.test/base/php:8.2: {detail}"));
                assert_eq!((error.class(), error.next()[0].as_str()), (Class::Io, "onramp image prune"));
            }
        }
    }

    #[test]
    fn an_engine_that_is_gone_is_told_with_the_image_and_not_with_our_name_for_it() {
        let image: ImageRef = "r.test/base/php:8.2".parse().unwrap();
        let broken = engine::Error::Broken { verb: "pull 127.0.0.1:1/onramp/0/0".to_owned(), detail: "EOF".to_owned() };
        let error = of(&image, None, broken.into());
        assert_eq!(error.to_string(), "the engine went away while it took r.test/base/php:8.2: EOF");
        assert_eq!((error.class(), error.next()), (Class::Env, vec!["onramp doctor".to_owned()]));
        let other = engine::Error::NoImage { image: "x".to_owned() };
        assert!(matches!(of(&image, None, other.into()), Error::Engine(engine::Error::NoImage { .. })));
    }
}
