//! A bill of materials: an SPDX 2.3 document of an image's packages, attached to the image as what refers to it.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Error;
use crate::images::contents::packages::{Ecosystem, Package};
use crate::images::contents::{Contents, Reader};
use crate::reference::{Digest, ImageRef};
use crate::registry::{Document, Registry};

/// What the document is (IANA), and the type under which it refers to its image.
pub const SPDX: &str = "application/spdx+json";

/// Reads an image's packages from its registry and attaches their document, unless it is there; the document's digest. The
/// image is named by digest.
pub async fn attach(registry: &Registry, reader: &Reader, image: &ImageRef) -> Result<Digest, Error> {
    let read = reader.image(image, None).await?;
    let layers = reader.layers(&[&read]).await?;
    let contents = crate::task::blocking(move || layers[0].contents()).await;
    let contents = contents.map_err(|error| Error::Unlisted { image: image.to_string(), why: error.to_string() })?;
    let made = read.config.created.unwrap_or(Timestamp::UNIX_EPOCH);
    let document = document(image, &read.manifest, made, &contents);
    let digest = Digest::of(&document);
    for referrer in registry.referrers(image.path(), &read.manifest, Some(SPDX)).await? {
        if referrer.annotations.get(ANNOTATION).map(String::as_str) == Some(digest.as_str()) {
            return Ok(digest);
        }
    }
    let annotations = [
        (ANNOTATION.to_owned(), digest.to_string()),
        ("org.opencontainers.image.created".to_owned(), made.to_string()),
    ];
    let document = Document { media_type: SPDX, bytes: document, annotations: annotations.into() };
    registry.attach_document(&image.at(read.manifest), document).await?;
    Ok(digest)
}

/// Says which document a manifest holds, so that the same one is not attached twice.
const ANNOTATION: &str = "dev.onramp.sbom.digest";

/// The document. The same image gives the same bytes.
fn document(image: &ImageRef, digest: &Digest, made: Timestamp, contents: &Contents) -> Vec<u8> {
    let made = made.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-image",
        "name": image.path(),
        "versionInfo": digest,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "primaryPackagePurpose": "CONTAINER",
        "externalRefs": [purl(&format!("pkg:oci/{}@{}", image.short_name(), escaped(digest.as_str())))],
    })];
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")];
    for (number, package) in contents.packages.iter().enumerate() {
        let id = format!("SPDXRef-package-{number}");
        relationships.push(relationship("SPDXRef-image", "CONTAINS", &id));
        packages.push(json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "externalRefs": [purl(&package_url(package))],
        }));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{}@{digest}", image.repository()),
        "documentNamespace": format!("https://{}/{}@{digest}", image.registry(), image.path()),
        "creationInfo": {
            "created": made,
            "creators": [concat!("Tool: onramp-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    if !contents.unread.is_empty() {
        // What could not be read must not look as if it were not there.
        let unread: BTreeMap<&str, &str> = contents.unread.iter().map(|file| (&*file.path, &*file.why)).collect();
        document["comment"] = json!(format!("not read: {}", json!(unread)));
    }
    serde_json::to_vec(&document).expect("a document is plain data")
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn purl(locator: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator })
}

/// A package URL (purl specification): `pkg:deb/debian/curl@7.88.1-10?arch=amd64`. The packages of a system are said to be
/// those of the distribution that its package manager was made for.
fn package_url(package: &Package) -> String {
    let namespace = match package.ecosystem {
        Ecosystem::Deb => "debian/",
        Ecosystem::Apk => "alpine/",
        Ecosystem::Rpm => "redhat/",
        Ecosystem::Composer | Ecosystem::Npm | Ecosystem::Pypi => "",
    };
    // A slash parts a scope or vendor from the name; npm's scope begins with an escaped @.
    let name: Vec<String> = package.name.split('/').map(escaped).collect();
    let kind = package.ecosystem.name();
    let mut url = format!("pkg:{kind}/{namespace}{}@{}", name.join("/"), escaped(&package.version));
    if let Some(architecture) = package.architecture.as_deref().filter(|_| !namespace.is_empty()) {
        let _ = write!(url, "?arch={}", escaped(architecture));
    }
    url
}

/// Percent-encoding of all but the characters that a purl's parts hold as they are.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::contents::Unread;

    fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
        let architecture = (ecosystem == Ecosystem::Deb).then(|| "amd64".to_owned());
        Package { ecosystem, name: name.to_owned(), version: version.to_owned(), architecture }
    }

    #[test]
    fn packages_have_urls() {
        for (package, expected) in [
            (package(Ecosystem::Deb, "libc6", "2.36-9+deb12u13"), "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64"),
            (package(Ecosystem::Deb, "x", "1:2.0~rc1"), "pkg:deb/debian/x@1:2.0~rc1?arch=amd64"),
            (package(Ecosystem::Composer, "monolog/monolog", "3.5.0"), "pkg:composer/monolog/monolog@3.5.0"),
            (package(Ecosystem::Npm, "@acme/ui", "1.0.0"), "pkg:npm/%40acme/ui@1.0.0"),
            (package(Ecosystem::Pypi, "a b\n", "1"), "pkg:pypi/a%20b%0A@1"),
        ] {
            assert_eq!(package_url(&package), expected);
        }
    }

    #[test]
    fn a_document_names_what_there_is_and_what_was_not_read() {
        let image: ImageRef = "r.test/base/php:8.2".parse().unwrap();
        let digest = Digest::of(b"image");
        let contents = Contents {
            packages: vec![package(Ecosystem::Deb, "curl", "7.88")],
            unread: vec![Unread { path: "var/lib/rpm/Packages".to_owned(), why: "Berkeley DB".to_owned() }],
            ..Contents::default()
        };
        let made = || document(&image.at(digest.clone()), &digest, Timestamp::UNIX_EPOCH, &contents);
        assert_eq!(made(), made());
        let read: Value = serde_json::from_slice(&made()).unwrap();
        assert_eq!(
            (&read["spdxVersion"], &read["creationInfo"]["created"]),
            (&json!("SPDX-2.3"), &json!("1970-01-01T00:00:00Z"))
        );
        let names: Vec<&Value> = read["packages"].as_array().unwrap().iter().map(|package| &package["name"]).collect();
        assert_eq!(names, ["base/php", "curl"]);
        assert_eq!(read["relationships"].as_array().unwrap().len(), 2);
        assert!(read["comment"].as_str().unwrap().contains("Berkeley DB"), "{read}");
    }
}
