//! Who may do what: tokens, their hashes, and what they grant.
//!
//! What does not belong here: where tokens are kept (`store`), and which route
//! needs which permission (`api`).

mod permission;
mod token;

pub use permission::{Grant, PERMISSIONS, Permission};
pub use token::{
    AdminToken, Hash, Key, STREAM_MARK, new_id, new_stream_key, new_stream_key_id, new_token,
};
