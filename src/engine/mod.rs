//! engine
pub struct Engine;
impl Engine {
    pub async fn connect() -> Result<Self, crate::git::Error> {
        Ok(Self)
    }
}
