//! forge.
