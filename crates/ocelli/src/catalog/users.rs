//! Users: who may sign in, and what they are.
//!
//! Nobody makes another more than they are themselves, nor gets at the account of one
//! who is: both would be a way up.

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

/// The longest name of a user.
const NAME_LIMIT: usize = 64;
/// What somebody is told whose password another request has set.
const CHANGED: &str = "the password was changed meanwhile; sign in again";

/// What a user is, and where.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Role)]
#[serde(deny_unknown_fields)]
pub struct RoleView {
    /// The app; null or absent for all of them.
    #[serde(default)]
    app: Option<String>,
    /// The role there.
    role: RoleName,
}

/// What a user may be.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// May do everything there.
    Admin,
    /// Tends the cameras and their keys, and shares them.
    Operator,
    /// Watches, though playback is not public.
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

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What they sign in as, in whichever case.
    #[schema(
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    name: String,
    /// What they are, at most once in each app and once in all.
    #[schema(min_items = 1)]
    roles: Vec<RoleView>,
}

/// What is to be changed; the rest stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserChange {
    /// What they sign in as.
    #[schema(
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    name: Option<String>,
    /// What they are.
    #[schema(min_items = 1)]
    roles: Option<Vec<RoleView>>,
    /// Whether to make a link by which they set a new password.
    #[serde(default)]
    reset_password: bool,
}

/// Checks a user's name.
///
/// # Errors
/// Says what one looks like.
pub fn check_name(name: &str) -> Result<(), ChangeError> {
    let fits = (1..=NAME_LIMIT).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(is_control);
    let fault = "it takes 1 to 64 characters, none of them a blank at an end";
    fits.then_some(())
        .ok_or_else(|| ChangeError::invalid("name", fault))
}

/// A one-time code by which a user sets a password.
pub struct SignInCode {
    /// The code itself. The store keeps a hash of it.
    pub code: String,
    /// Until when it works, in ms since the Unix epoch.
    pub expires: i64,
}

impl SignInCode {
    /// A new one for a user.
    fn new(now: i64) -> Self {
        Self {
            code: new_code(),
            expires: now + codes::GOOD_FOR_USER,
        }
    }
}

/// A one-time code that makes an administrator, in place of the last one.
///
/// # Errors
/// The file can't be written.
pub fn make_code(connection: &mut Connection, key: &Key, now: i64) -> Result<String, StoreError> {
    let code = new_code();
    codes::put(connection, &key.hash(&code), None, now + codes::GOOD_FOR)?;
    Ok(code)
}

/// The user of this name, made if there is none, as an administrator.
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

/// The user of an id, if they are no more than whoever asks. Part of the job that goes by
/// it: somebody could be promoted between two.
fn known(connection: &Connection, own: &Grant, id: &str) -> Result<User, ChangeError> {
    let user = users::by_id(connection, id)?.ok_or_else(users::missing)?;
    own.check_covers(&user.grant())?;
    Ok(user)
}

impl Catalog {
    /// Reads roles, within what `own` allows.
    fn roles(
        &self,
        own: &Grant,
        views: Vec<RoleView>,
    ) -> Result<Vec<(Option<String>, Role)>, ChangeError> {
        let roles: Vec<(Option<String>, Role)> = views.into_iter().map(Into::into).collect();
        if roles.is_empty() {
            let fault = "without any the user could do nothing";
            return Err(ChangeError::invalid("roles", fault));
        }
        let mut seen = BTreeSet::new();
        for (app, _) in &roles {
            if !seen.insert(app) {
                return Err(ChangeError::conflict(
                    "roles in the body: a user has one role in an app, and one in all",
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

    /// The users, by name.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn users(&self) -> Result<Vec<User>, ChangeError> {
        self.read(|connection| users::all(connection)).await
    }

    /// Adds a user, who sets a password by the code.
    ///
    /// # Errors
    /// A field is wrong, it would be more than `own`, there is no such app, or the name is
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
        self.make(move |_, connection| {
            let transaction = connection.transaction()?;
            users::insert(&transaction, &user)?;
            transaction.commit()?;
            codes::put(connection, &hash, Some(&user.id), code.expires)?;
            Ok((user, code))
        })
        .await
    }

    /// Changes a user, at once and for all of their sessions.
    ///
    /// # Errors
    /// A field is wrong, the user is or would be more than `own`, there is no such user or
    /// app, the name is taken, or no administrator would be left.
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
        self.make(move |_, connection| {
            let mut user = known(connection, &own, &id)?;
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

    /// Takes a user out, with their sessions and the wall links that they made.
    ///
    /// # Errors
    /// There is none, they are more than `own`, or no administrator would be left.
    pub async fn delete_user(self: &Arc<Self>, id: String, own: Grant) -> Result<(), ChangeError> {
        self.make(move |_, connection| {
            known(connection, &own, &id)?;
            Ok(users::delete(connection, &id)?)
        })
        .await
    }

    /// Whom a one-time code is for, if it is good.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn code_is_for(&self, code: Hash) -> Result<Option<codes::For>, ChangeError> {
        let now = self.identity.now();
        self.read(move |connection| codes::known(connection, &code, now))
            .await
    }

    /// Spends a one-time code: sets this password, given by its hash, and makes an
    /// administrator of this name if the code is for one.
    ///
    /// # Errors
    /// The code was used meanwhile, or its user is gone.
    pub async fn spend_code(
        self: &Arc<Self>,
        code: Hash,
        name: Option<String>,
        password: String,
    ) -> Result<User, ChangeError> {
        let now = self.identity.now();
        self.make(move |_, connection| {
            let transaction = connection.transaction()?;
            // Of two who have the same code, one was first.
            let user = match codes::known(&transaction, &code, now)? {
                Some(codes::For::Administrator) => {
                    administrator(&transaction, name.unwrap_or_default(), now)?
                }
                Some(codes::For::User(id)) => {
                    users::by_id(&transaction, &id)?.ok_or_else(users::missing)?
                }
                None => return Err(ChangeError::conflict("the code was used meanwhile")),
            };
            codes::spend(&transaction, &code)?;
            users::set_password(&transaction, &user.id, &password, None)?;
            transaction.commit()?;
            Ok(user)
        })
        .await
    }

    /// Sets a user's password from `old` to `new`, given by their hashes; ends all of their
    /// sessions but `kept`.
    ///
    /// # Errors
    /// The password is not `old` any more.
    pub async fn set_password(
        self: &Arc<Self>,
        user: String,
        old: Option<String>,
        new: String,
        kept: String,
    ) -> Result<(), ChangeError> {
        self.make(move |_, connection| {
            // It may have been set by a code since it was compared.
            if users::password(connection, &user)? != old {
                return Err(ChangeError::conflict(CHANGED));
            }
            Ok(users::set_password(connection, &user, &new, Some(&kept))?)
        })
        .await
    }

    /// A one-time code that makes the first administrator; none where there is a user, or a
    /// token of the administrator's own.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn first_code(self: &Arc<Self>) -> Result<Option<String>, ChangeError> {
        if self.identity.admin.is_some() {
            return Ok(None);
        }
        let (key, now) = (self.identity.store.key()?.clone(), self.identity.now());
        self.make(move |_, connection| {
            if users::any(connection)? {
                return Ok(None);
            }
            Ok(Some(make_code(connection, &key, now)?))
        })
        .await
    }
}
