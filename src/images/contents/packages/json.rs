//! JSON read piece by piece: what a lock file lists is handed on as it comes, and never held whole.

use std::fmt;
use std::io::{BufRead, Read};
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::Unread;

/// The largest lock file, in bytes.
const CAP: u64 = 32 * 1024 * 1024;

/// Reads one document of this type. What is wrong with it is the file's fault, what is wrong with the stream is not.
pub fn read<'de, S: DeserializeSeed<'de>>(stream: &mut dyn BufRead, seed: S) -> Result<S::Value, Unread> {
    let capped = std::io::BufReader::new(Capped { stream, left: CAP });
    let mut deserializer = serde_json::Deserializer::from_reader(capped);
    let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| match error.io_error_kind() {
        Some(std::io::ErrorKind::FileTooLarge) | None => Unread::content(error.to_string()),
        Some(_) => Unread::Stream(error.into()),
    })
}

/// A stream that fails where it is too long, instead of looking shorter than it is.
struct Capped<'a> {
    stream: &'a mut dyn BufRead,
    left: u64,
}

impl Read for Capped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let why = format!("it is larger than {}", crate::text::bytes(CAP));
            std::io::Error::new(std::io::ErrorKind::FileTooLarge, why)
        })?;
        Ok(count)
    }
}

/// A list or an object whose members are handed on, each with its key (empty in a list).
pub struct Each<T, F> {
    take: F,
    member: PhantomData<T>,
}

/// Hands every member to `take`.
pub fn each<T: DeserializeOwned, F: FnMut(String, T) -> Result<(), Unread>>(take: F) -> Each<T, F> {
    Each { take, member: PhantomData }
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<(), Unread>> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<(), Unread>> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(member) = list.next_element()? {
            (self.take)(String::new(), member).map_err(A::Error::custom)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key()? {
            (self.take)(key, object.next_value()?).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// An object whose members are each read by the seed for its key; those without one are passed over.
pub trait Members<'de> {
    /// Reads the member, if it is one that is looked for; whether it was.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, object: &mut A) -> Result<bool, A::Error>;
    /// Reads a list, where the document is one.
    fn list<A: SeqAccess<'de>>(&mut self, list: A) -> Result<(), A::Error> {
        let _ = list;
        Err(A::Error::custom("it is a list, and an object was expected"))
    }
}

/// The seed of an object with these members.
pub struct Object<'a, M>(pub &'a mut M);

impl<'de, M: Members<'de>> DeserializeSeed<'de> for Object<'_, M> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            if !self.0.member(&key, &mut object)? {
                object.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
