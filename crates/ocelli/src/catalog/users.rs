//! User accounts and their roles.
//!
//! To prevent privilege escalation, a client can neither grant more than its own permissions nor
//! manage the account of a user who has more.

use super::error::ChangeError;
use super::service::Catalog;
use crate::auth::{Grant, Hash, Key, Role, new_code, new_id};
use crate::store::users::{self, User};
use crate::store::{StoreError, codes};
use ocelli_core::text::is_control;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// Maximum length of a user name, in characters.
const NAME_LIMIT: usize = 64;
/// The error if another request has set the password.
const PASSWORD_CHANGED: &str = "the password was changed in the meantime; sign in again";

/// A user's role and the app it applies to.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Role)]
#[serde(deny_unknown_fields)]
pub struct RoleView {
    /// The app; null or absent for all apps.
    #[serde(default)]
    app: Option<String>,
    /// The role.
    role: RoleName,
}

/// The roles.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// May do everything in the apps that the role covers.
    Admin,
    /// Manages and shares the cameras and their keys.
    Operator,
    /// Watches cameras, also in apps without public playback.
    Viewer,
}

impl From<(Option<String>, Role)> for RoleView {
    fn from((app, role): (Option<String>, Role)) -> Self {
        let role = match role {
            Role::Admin => RoleName::Admin,
            Role::Operator => RoleName::Operator,
            Role::Viewer => RoleName::Viewer,
        };
        Self { app, role }
    }
}

impl From<RoleView> for (Option<String>, Role) {
    fn from(view: RoleView) -> Self {
        let role = match view.role {
            RoleName::Admin => Role::Admin,
            RoleName::Operator => Role::Operator,
            RoleName::Viewer => Role::Viewer,
        };
        (view.app, role)
    }
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The sign-in name; case does not matter.
    #[schema(
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    name: String,
    /// The user's roles, at most one per app and one for all apps.
    #[schema(min_items = 1)]
    roles: Vec<RoleView>,
}

/// A change of a user. Omitted fields keep their values.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserChange {
    /// The sign-in name.
    #[schema(
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    name: Option<String>,
    /// The user's roles.
    #[schema(min_items = 1)]
    roles: Option<Vec<RoleView>>,
    /// Whether to create a link with which the user sets a new password.
    #[serde(default)]
    reset_password: bool,
}

/// Checks a user's name.
///
/// # Errors
/// The message states the rule.
pub fn check_name(name: &str) -> Result<(), ChangeError> {
    let fits = (1..=NAME_LIMIT).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(is_control);
    let fault = "it must have 1 to 64 characters, without a space at either end";
    fits.then_some(())
        .ok_or_else(|| ChangeError::invalid("name", fault))
}

/// A one-time code for setting a user's password.
pub struct SignInCode {
    /// The code itself. The store keeps only its hash.
    pub code: String,
    /// Expiry in ms since the Unix epoch.
    pub expires: i64,
}

impl SignInCode {
    /// A new code for a user.
    fn new(now: i64) -> Self {
        Self {
            code: new_code(),
            expires: now + codes::USER_VALID_MS,
        }
    }
}

/// Creates a one-time code for an administrator; it replaces the previous one.
///
/// # Errors
/// The file can't be written.
pub fn create_admin_code(
    connection: &mut Connection,
    key: &Key,
    now: i64,
) -> Result<String, StoreError> {
    let code = new_code();
    codes::put(connection, &key.hash(&code), None, now + codes::VALID_MS)?;
    Ok(code)
}

/// Finds or adds a user of this name and makes them an administrator.
fn administrator(
    connection: &rusqlite::Connection,
    name: String,
    now: i64,
) -> Result<User, StoreError> {
    if let Some(mut user) = users::by_name(connection, &name)? {
        user.roles.retain(|(app, _)| app.is_some());
        user.roles.push((None, Role::Admin));
        users::set_roles(connection, &user)?;
        return Ok(user);
    }
    let user = User {
        id: new_id("usr"),
        name,
        roles: vec![(None, Role::Admin)],
        has_password: false,
        created: now,
    };
    users::insert(connection, &user)?;
    Ok(user)
}

/// Returns the user with an id, if `own` covers the user's permissions. Call it in the same job as
/// the change, because the user could be promoted between two jobs.
fn find_within(connection: &Connection, own: &Grant, id: &str) -> Result<User, ChangeError> {
    let user = users::by_id(connection, id)?.ok_or_else(users::missing)?;
    own.check_covers(&user.grant())?;
    Ok(user)
}

impl Catalog {
    /// Validates roles; they must be within `own`.
    fn roles(
        &self,
        own: &Grant,
        views: Vec<RoleView>,
    ) -> Result<Vec<(Option<String>, Role)>, ChangeError> {
        let roles: Vec<(Option<String>, Role)> = views.into_iter().map(Into::into).collect();
        if roles.is_empty() {
            let fault = "a user needs at least one role";
            return Err(ChangeError::invalid("roles", fault));
        }
        let mut seen = BTreeSet::new();
        for (app, _) in &roles {
            if !seen.insert(app) {
                return Err(ChangeError::conflict(
                    "roles in the body: a user can have one role per app, and one for all apps",
                ));
            }
            if let Some(app) = app
                && self.hub().app(app).is_none()
            {
                let message = format!("roles in the body: there is no app {app:?}");
                return Err(ChangeError::missing(message));
            }
        }
        let given = roles.iter().map(|(app, role)| role.allowance(app.clone()));
        own.check_covers(&Grant::new(given))?;
        Ok(roles)
    }

    /// All users, ordered by name.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn users(&self) -> Result<Vec<User>, ChangeError> {
        self.read(|connection| users::all(connection)).await
    }

    /// Adds a user and a one-time code with which the user sets a password.
    ///
    /// # Errors
    /// A field is invalid, the user would exceed `own`, the app does not exist, or the name is
    /// taken.
    pub async fn add_user(
        self: &Arc<Self>,
        new: NewUser,
        own: &Grant,
    ) -> Result<(User, SignInCode), ChangeError> {
        check_name(&new.name)?;
        let now = self.identity.now();
        let user = User {
            id: new_id("usr"),
            roles: self.roles(own, new.roles)?,
            name: new.name,
            has_password: false,
            created: now,
        };
        let code = SignInCode::new(now);
        let hash = self.identity.store.key()?.hash(&code.code);
        self.apply(move |_, connection| {
            let transaction = connection.transaction()?;
            users::insert(&transaction, &user)?;
            transaction.commit()?;
            codes::put(connection, &hash, Some(&user.id), code.expires)?;
            Ok((user, code))
        })
        .await
    }

    /// Changes a user; all of the user's sessions are affected at once.
    ///
    /// # Errors
    /// A field is invalid, the user exceeds or would exceed `own`, the user or the app does not
    /// exist, the name is taken, or no administrator would be left.
    pub async fn change_user(
        self: &Arc<Self>,
        id: String,
        change: UserChange,
        own: Grant,
    ) -> Result<(User, Option<SignInCode>), ChangeError> {
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        let roles = change.roles.map(|views| self.roles(&own, views));
        let roles = roles.transpose()?;
        let key = self.identity.store.key()?;
        let code = change
            .reset_password
            .then(|| SignInCode::new(self.identity.now()));
        let hash = code.as_ref().map(|code| key.hash(&code.code));
        self.apply(move |_, connection| {
            let mut user = find_within(connection, &own, &id)?;
            user.name = change.name.unwrap_or(user.name);
            user.roles = roles.unwrap_or(user.roles);
            users::update(connection, &user)?;
            if let (Some(code), Some(hash)) = (&code, &hash) {
                codes::put(connection, hash, Some(&user.id), code.expires)?;
            }
            Ok((user, code))
        })
        .await
    }

    /// Deletes a user, the user's sessions and the wall links that the user created.
    ///
    /// # Errors
    /// The user does not exist or exceeds `own`, or no administrator would be left.
    pub async fn delete_user(self: &Arc<Self>, id: String, own: Grant) -> Result<(), ChangeError> {
        self.apply(move |_, connection| {
            find_within(connection, &own, &id)?;
            Ok(users::delete(connection, &id)?)
        })
        .await
    }

    /// Returns the purpose of a one-time code if it is valid.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn code_purpose(
        &self,
        code: Hash,
    ) -> Result<Option<codes::CodePurpose>, ChangeError> {
        let now = self.identity.now();
        self.read(move |connection| codes::find_valid(connection, &code, now))
            .await
    }

    /// Uses a one-time code: stores the password hash, and for an administrator code makes the user
    /// of this name an administrator.
    ///
    /// # Errors
    /// The code was used in the meantime, or its user was deleted.
    pub async fn use_code(
        self: &Arc<Self>,
        code: Hash,
        name: Option<String>,
        password: String,
    ) -> Result<User, ChangeError> {
        let now = self.identity.now();
        self.apply(move |_, connection| {
            let transaction = connection.transaction()?;
            // Of two requests with the same code, only the first succeeds.
            let user = match codes::find_valid(&transaction, &code, now)? {
                Some(codes::CodePurpose::Administrator) => {
                    administrator(&transaction, name.unwrap_or_default(), now)?
                }
                Some(codes::CodePurpose::User(id)) => {
                    users::by_id(&transaction, &id)?.ok_or_else(users::missing)?
                }
                None => return Err(ChangeError::conflict("the code was used in the meantime")),
            };
            codes::delete(&transaction, &code)?;
            users::set_password(&transaction, &user.id, &password, None)?;
            transaction.commit()?;
            Ok(user)
        })
        .await
    }

    /// Changes a user's password hash from `old` to `new` and ends all of the user's sessions
    /// except `current`.
    ///
    /// # Errors
    /// The current hash is no longer `old`.
    pub async fn set_password(
        self: &Arc<Self>,
        user: String,
        old: Option<String>,
        new: String,
        current: String,
    ) -> Result<(), ChangeError> {
        self.apply(move |_, connection| {
            // A one-time code may have changed it since it was compared.
            if users::password(connection, &user)? != old {
                return Err(ChangeError::conflict(PASSWORD_CHANGED));
            }
            Ok(users::set_password(
                connection,
                &user,
                &new,
                Some(&current),
            )?)
        })
        .await
    }

    /// Creates a one-time code for the first administrator; `None` if a user or an administrator's
    /// token already exists.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn create_first_code(self: &Arc<Self>) -> Result<Option<String>, ChangeError> {
        if self.identity.admin.is_some() {
            return Ok(None);
        }
        let (key, now) = (self.identity.store.key()?.clone(), self.identity.now());
        self.apply(move |_, connection| {
            if users::any(connection)? {
                return Ok(None);
            }
            Ok(Some(create_admin_code(connection, &key, now)?))
        })
        .await
    }
}
