//! The service that changes apps, cameras, device keys, links, tokens and users.
//!
//! Every change goes through [`Catalog`], which validates it, writes the store, applies it to the
//! hub and announces it. The HTTP API and its permissions (`api`) and the storage format (`store`)
//! are elsewhere.

mod apps;
mod build;
mod camera;
mod cameras;
mod error;
mod keys;
mod limits;
mod links;
mod service;
mod settings;
mod start;
mod tokens;
mod users;

pub use apps::{AppChange, NewApp};
pub use build::put_configured;
pub use camera::{CameraChange, NewCamera, present, shown};
pub use error::ChangeError;
pub use keys::{KeyWithSecret, NewKey};
pub use limits::Limits;
pub use links::{NewWall, WallLink};
pub use service::{Catalog, Configured, Policy};
pub use settings::{Jpeg, Settings};
pub use start::Saved;
pub use tokens::{NewToken, Scope};
pub use users::{NewUser, RoleView, SignInCode, UserChange, check_name, create_admin_code};
