//! Authorization primitives: secrets and their hashes, passwords, roles, permissions and play
//! tokens. Storage (`store`), route permissions (`api`) and the identity of a request (`visitor`)
//! are elsewhere.

mod password;
mod permission;
mod play;
mod token;

pub use password::{Busy, Passwords, check_password};
pub use permission::{Allowance, Denied, Grant, PERMISSIONS, Permission, Role};
pub use play::{Incarnation, PlayToken};
pub use token::{
    AdminToken, Hash, Key, NamedSecret, STREAM_KEY_PREFIX, new_code, new_id, new_stream_key,
    new_token,
};
