//! Who may do what: secrets and their hashes, roles and permissions, and how often
//! somebody may guess.
//!
//! What does not belong here: where all that is kept (`store`), which route needs
//! which permission (`api`), and who asks just now (`visitor`).

mod password;
mod permission;
mod play;
mod token;

pub use password::{Busy, Passwords, check_password};
pub use permission::{Allowance, Denied, Grant, PERMISSIONS, Permission, Role};
pub use play::{Incarnation, PlayToken};
pub use token::{
    AdminToken, Hash, Key, NamedSecret, STREAM_MARK, new_code, new_id, new_stream_key, new_token,
};
