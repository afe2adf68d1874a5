//! DSSE envelopes: a text with what it is and who signed both (Dead Simple Signing Envelope 1.0, `protocol.md` and
//! `envelope.md`), as cosign and in-toto read them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use super::{PublicKey, SigningKey};
use crate::reference::Digest;
use crate::text::neutral_line;

/// An envelope's own media type.
pub const MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The largest envelope that is read, in bytes.
pub const CAP: u64 = 256 * 1024;
/// The most signatures of one envelope that are tried.
const MOST: usize = 32;

/// A text and its signatures. Nothing in it is believed before [`Envelope::signers`] names somebody who is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the text is: a media type.
    pub payload_type: String,
    /// The text.
    pub payload: Vec<u8>,
    /// In DER.
    signatures: Vec<(String, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    payload_type: String,
    payload: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
struct RawSignature {
    /// A hint that proves nothing.
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Signs a text.
    pub fn seal(payload_type: &str, payload: Vec<u8>, key: &SigningKey) -> Self {
        let signature = key.sign(&encoded(payload_type, &payload));
        let signatures = vec![(key.public().fingerprint().to_string(), signature)];
        Self { payload_type: payload_type.to_owned(), payload, signatures }
    }

    /// Reads an envelope. The error says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|e| neutral_line(&e.to_string(), 160))?;
        if document.signatures.len() > MOST {
            return Err(format!("it has more than {MOST} signatures"));
        }
        let payload = decoded(&document.payload).ok_or("its payload is no base64")?;
        let signatures = document.signatures.into_iter().map(|raw| Some((raw.keyid, decoded(&raw.sig)?)));
        let signatures = signatures.collect::<Option<_>>().ok_or("a signature is no base64")?;
        Ok(Self { payload_type: document.payload_type, payload, signatures })
    }

    /// The envelope as it is kept.
    pub fn bytes(&self) -> Vec<u8> {
        let raw = |(keyid, sig): &(String, Vec<u8>)| RawSignature { keyid: keyid.clone(), sig: STANDARD.encode(sig) };
        let document = Document {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures: self.signatures.iter().map(raw).collect(),
        };
        serde_json::to_vec(&document).expect("an envelope is plain data")
    }

    /// Which of these keys signed it.
    pub fn signers<'k>(&self, keys: &'k [PublicKey]) -> Vec<&'k PublicKey> {
        let hash = Digest::of(&encoded(&self.payload_type, &self.payload)).bytes();
        let signed = |key: &&PublicKey| self.signatures.iter().any(|(_, signature)| key.signed(&hash, signature));
        keys.iter().filter(signed).collect()
    }
}

/// What is signed (`protocol.md`, "PAE"): both parts with their lengths, so that none can be read as the other.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Either alphabet may be used (`envelope.md`).
fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_encoded_as_the_specification_has_it() {
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_is_by_whoever_signed_all_of_it() {
        let (mine, other) = (SigningKey::generate("mine"), SigningKey::generate("other"));
        let keys = [other.public().clone(), mine.public().clone()];
        let sealed = Envelope::seal("text/plain", b"so it is".to_vec(), &mine);
        let read = Envelope::parse(&sealed.bytes()).unwrap();
        assert_eq!(read, sealed);
        assert_eq!(read.signers(&keys), [mine.public()]);
        assert!(read.signers(&keys[..1]).is_empty());
        assert!(Envelope { payload: b"so it was".to_vec(), ..read.clone() }.signers(&keys).is_empty());
        assert!(Envelope { payload_type: "text/html".to_owned(), ..read }.signers(&keys).is_empty());
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let many =
            format!(r#"{{"payloadType":"t","payload":"","signatures":[{}]}}"#, vec![r#"{"sig":""}"#; 33].join(","));
        for (text, why) in [
            (r#"{"payloadType":"t","payload":"*","signatures":[]}"#, "its payload is no base64"),
            (r#"{"payloadType":"t","payload":"","signatures":[{"sig":"*"}]}"#, "a signature is no base64"),
            (&many, "it has more than 32 signatures"),
            ("[]", "invalid length 0"),
            ("{\"payloadType\":\"t\",\"payloadType\":\"u\",\"payload\":\"\",\"signatures\":[]}", "duplicate field"),
        ] {
            let said = Envelope::parse(text.as_bytes()).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, text in r#"\{"payloadType":"[a-z]*","payload":"[a-zA-Z=_-]{0,9}","signatures":\[\{"sig":"[a-z=]{0,6}"\}\]\}"#) {
            let _ = Envelope::parse(&bytes);
            if let Ok(envelope) = Envelope::parse(text.as_bytes()) {
                proptest::prop_assert_eq!(Envelope::parse(&envelope.bytes()), Ok(envelope));
            }
        }
    }
}
