//! Who asks: what came with a request, looked up once, and whether it is still good
//! while a stream goes on.
//!
//! Anybody may come without anything; public cameras are for all. What somebody brings
//! is a session's cookie, a token in the `Authorization` header, or a play token or
//! wall link as `?token=`. A cookie that is no good counts for nothing; a token that is
//! no good is refused, so that whoever sent it learns why they see nothing.
//!
//! What does not belong here: what a route needs (`api`), and how secrets are made and
//! kept (`auth`, `store`).

mod attempts;
mod authorization;
mod credential;
mod extractor;
mod identity;
mod long_lived;
mod origin;
mod reauthorization;
mod request_credentials;

pub use authorization::{LAPSED, NOT_ON_WALL, PRIVATE, Visitor};
pub use identity::{Identity, now};
pub use origin::cookie;
pub use reauthorization::reauthorize_periodically;
pub(crate) use request_credentials::bearer;
