//! Authentication of requests and periodic re-authorization of long-lived connections.
//!
//! A request may be anonymous; public cameras need no credential. The credentials are a session
//! cookie, a token in the `Authorization` header, or a play token or wall link token as
//! `?token=`. An invalid cookie is ignored. An invalid token is refused, so that the client
//! learns why it has no access.
//!
//! Route permissions (`api`) and the creation and storage of secrets (`auth`, `store`) are
//! elsewhere.

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
