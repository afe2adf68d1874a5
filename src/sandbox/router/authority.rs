//! The certificate authority of one user on one machine, for names below `localhost` and for nothing else.
//!
//! Its key stays with its user, and its certificate says what it may be believed about (RFC 5280, 4.2.1.10), so that whoever trusts
//! it trusts it for this machine's own names only. The certificates of names are made in memory, for days.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData, date_time_ymd,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use super::Hostname;
use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::reference::Digest;

/// The file of its key, and that of its certificate beside it.
const KEY: &str = "ca.key";
const CERTIFICATE: &str = "ca.pem";
/// The largest file of it, in bytes.
const CAP: u64 = 16 * 1024;
/// How long it lasts, in years: every browser of the machine has to be told of the next one.
const YEARS: i64 = 10;
/// For how many days a name's certificate is good.
const DAYS: i64 = 7;

/// What can be wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in its file is no key of it.
    #[error("{} holds no key of a certificate authority: {why}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The key of all certificates that are made, which never leaves the process.
    key: KeyPair,
    /// Where its certificate is.
    pub certificate: PathBuf,
    /// Its certificate, as PEM.
    pub pem: String,
}

/// Which authority one was, for whoever asks later whether it still is its user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Where its certificate is.
    certificate: String,
    /// The digest of that file.
    digest: Digest,
}

impl Mark {
    /// Whether it still is its user's: who removes its key wants another one, whose certificate is not this.
    pub fn holds(&self) -> bool {
        let certificate = Path::new(&self.certificate);
        let same = files::read(certificate, CAP).is_ok_and(|bytes| Digest::of(&bytes) == self.digest);
        same && certificate.with_file_name(KEY).exists()
    }
}

impl Authority {
    /// Opens the user's authority, or makes it on first use. Only one process may do so at a time.
    pub fn open(data: &Path) -> Result<Self, Error> {
        let directory = data.join("hostnames");
        files::private_directory(&directory)?;
        let (secret, certificate) = (directory.join(KEY), directory.join(CERTIFICATE));
        let key = match files::read_text(&secret, CAP) {
            Ok(text) => KeyPair::from_pem(&text).map_err(|why| Error::no_key(&secret, &why))?,
            Err(error) if error.is_not_found() => {
                // The certificate of a key that is gone must not be taken for that of the next one.
                match std::fs::remove_file(&certificate) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(FileError::io("remove", &certificate)(error).into());
                    }
                    _ => {}
                }
                let key = KeyPair::generate().map_err(|why| Error::no_key(&secret, &why))?;
                files::write_private(&secret, key.serialize_pem().as_bytes())?;
                key
            }
            Err(error) => return Err(error.into()),
        };
        let params = authority(&key);
        let pem = match files::read_text(&certificate, CAP) {
            Ok(pem) => pem,
            Err(error) if error.is_not_found() => {
                let made = params.self_signed(&key).map_err(|why| Error::no_key(&secret, &why))?.pem();
                files::write(&certificate, made.as_bytes())?;
                made
            }
            Err(error) => return Err(error.into()),
        };
        let own = KeyPair::generate().map_err(|why| Error::no_key(&secret, &why))?;
        Ok(Self { issuer: Issuer::new(params, key), key: own, certificate, pem })
    }

    /// What it is known by later; none where its path cannot be written down as text.
    pub fn mark(&self) -> Option<Mark> {
        let certificate = self.certificate.to_str()?.to_owned();
        Some(Mark { certificate, digest: Digest::of(self.pem.as_bytes()) })
    }

    /// Makes a certificate for a name.
    pub fn issue(&self, name: &Hostname) -> Option<CertifiedKey> {
        let mut params = CertificateParams::new([name.to_string()]).ok()?;
        last(&mut params, DAYS.days());
        params.distinguished_name.push(DnType::CommonName, "onramp sandbox");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(&self.key, &self.issuer).ok()?;
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).ok()?;
        Some(CertifiedKey::new(vec![made.der().clone()], any_ecdsa_type(&key).ok()?))
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::NoKey { .. } => Class::Config,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoKey { .. } => Some("without the file the next `onramp up` makes another authority".to_owned()),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::File(error) => error.next(),
            Self::NoKey { path, .. } => vec![format!("rm {}", path.display()), "onramp up".to_owned()],
        }
    }
}

impl Error {
    fn no_key(path: &Path, why: &rcgen::Error) -> Self {
        Self::NoKey { path: path.to_owned(), why: why.to_string() }
    }
}

/// What the authority's certificate says. Its name follows from its key: two of one name would be taken for each other.
fn authority(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let digest = Digest::of(key.der_bytes());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "onramp");
    params
        .distinguished_name
        .push(DnType::CommonName, format!("onramp, names below localhost of this machine ({})", &digest.hex()[..8]));
    last(&mut params, YEARS.years());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A subtree of names says nothing of addresses, which have to be left out by themselves.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("localhost".to_owned())],
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)),
        ],
    });
    params
}

/// A certificate is good from yesterday on, because clocks differ, until so long from now.
fn last(params: &mut CertificateParams, span: Span) {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let at = |date: jiff::civil::Date| {
        let part = |number: i8| u8::try_from(number).expect("months and days are positive");
        date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    params.not_before = at(today.saturating_sub(1.day()));
    params.not_after = at(today.saturating_add(span));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn its_key_is_its_users_alone_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open(dir.path()).unwrap();
        let mode =
            |name: &str| std::fs::metadata(dir.path().join("hostnames").join(name)).unwrap().permissions().mode();
        assert_eq!((mode("ca.key") & 0o777, mode("") & 0o777), (0o600, 0o700));
        assert_eq!(Authority::open(dir.path()).unwrap().pem, first.pem);
        assert!(first.mark().unwrap().holds());

        std::fs::remove_file(dir.path().join("hostnames/ca.pem")).unwrap();
        assert!(!first.mark().unwrap().holds());
        let again = Authority::open(dir.path()).unwrap();
        assert_eq!(again.issuer.key().serialize_der(), first.issuer.key().serialize_der());

        assert!(again.mark().unwrap().holds());
        std::fs::remove_file(dir.path().join("hostnames/ca.key")).unwrap();
        assert!(!again.mark().unwrap().holds(), "the next one has another key");
        let other = Authority::open(dir.path()).unwrap();
        assert_ne!(other.pem, again.pem, "another key, another certificate");
        assert!(other.mark().unwrap().holds() && !again.mark().unwrap().holds());
    }

    #[test]
    fn what_is_no_key_is_told_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("hostnames/ca.key");
        std::fs::create_dir(key.parent().unwrap()).unwrap();
        std::fs::write(&key, "mine").unwrap();
        let told = Authority::open(dir.path()).err().unwrap().to_string();
        assert!(told.starts_with(&format!("{} holds no key", key.display())), "{told}");
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "mine");
    }
}
