//! What the hub shows and to whom: its apps, cameras, device keys, links, tokens and users.
//!
//! Everything that changes them goes through [`Catalog`], whoever asks for it: it validates
//! the change, writes the store, applies the change to the hub and announces it.
//!
//! What does not belong here: how a change is asked for and who may ask (`api`), and how
//! rows are written (`store`).

mod apps;
mod camera;
mod cameras;
mod error;
mod keys;
mod limits;
mod links;
mod make;
mod service;
mod settings;
mod start;
mod tokens;
mod users;

pub use apps::{AppChange, NewApp};
pub use camera::{CameraChange, NewCamera, present, shown};
pub use error::ChangeError;
pub use keys::{MadeKey, NewKey};
pub use limits::Limits;
pub use links::{NewWall, WallLink};
pub use make::put_configured;
pub use service::{Catalog, Configured, Policy};
pub use settings::{Jpeg, Settings};
pub use start::Saved;
pub use tokens::{NewToken, Scope};
pub use users::{NewUser, RoleView, SignInCode, UserChange, check_name, make_code};
