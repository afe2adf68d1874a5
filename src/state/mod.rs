//! state (stub until merged)
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl crate::error::Fault for Error {
    fn class(&self) -> crate::error::Class {
        crate::error::Class::Bug
    }
}
