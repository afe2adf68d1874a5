//! Images that a sandbox is given in the place of what the project builds: what was pushed runs as it is, and what tests find is
//! about exactly that.

use std::collections::BTreeSet;

use super::{Error, Member, View, plan};
use crate::name::Name;
use crate::project::Lock;
use crate::project::service::Service;
use crate::reference::ImageRef;

/// An image for a service that the project builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The service.
    pub service: Name,
    /// The image, by digest.
    pub image: ImageRef,
    /// Where the project's files would be shown in it, and it has files of its own.
    pub own: BTreeSet<String>,
}

impl View {
    /// Whose image it is: the own service's that is named, else the one's that is declared from its repository, else the only one's
    /// that is built.
    pub fn whose(&self, named: Option<&Name>, image: &ImageRef) -> Result<&Member, Error> {
        let own: Vec<_> = self.members.iter().filter(|member| member.own).collect();
        let built: Vec<_> = own.iter().copied().filter(|member| member.service.build.is_some()).collect();
        let of_repository = |image: &ImageRef| {
            let mut of = built.iter().filter(|member| {
                let declared = member.declared.as_ref().and_then(|service| service.image.as_ref());
                declared.is_some_and(|declared| declared.repository() == image.repository())
            });
            of.next().filter(|_| of.next().is_none())
        };
        let only = || built.first().filter(|_| built.len() == 1);
        let found = match named {
            Some(name) => own.iter().find(|member| member.id.service == *name),
            None => of_repository(image).or_else(only),
        };
        let services = || own.iter().map(|member| member.id.service.clone()).collect();
        found.copied().ok_or_else(|| Error::WhoseImage { image: image.to_string(), services: services() })
    }

    /// The same sandbox with these images in the place of what is built. Of the files here only what an image has not is shown in
    /// it: its tests.
    #[must_use]
    pub fn with_images(mut self, given: &[Given]) -> Self {
        for Given { service, image, own } in given {
            let taken = |of: &mut Service| {
                of.build = None;
                of.fallback = None;
                of.sync.retain(|_, shown| !own.contains(shown.target()));
                of.image = Some(image.clone());
            };
            self.members.iter_mut().filter(|m| m.own && m.id.service == *service).for_each(|m| taken(&mut m.service));
            self.project.manifest.services.get_mut(service).into_iter().for_each(taken);
        }
        self
    }

    /// The images of the project's own services that are not built here, by digest.
    pub fn own_images(&self, lock: &Lock) -> Result<Vec<ImageRef>, Error> {
        let images = self.members.iter().filter(|member| member.own && member.service.build.is_none());
        images.filter_map(|member| member.service.image.as_ref()).map(|image| plan::pinned(image, lock)).collect()
    }
}
