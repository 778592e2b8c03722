//! `/api/v1/users`: who may sign in, and what they are.
//!
//! Nobody makes another more than they are themselves, nor gets at the account of one
//! who is: both would be a way up.

use super::access::check_covers;
use super::apps::Gone;
use super::body::Body;
use super::page::{Page, Window};
use super::session::check_name;
use crate::answer::{Answer, Asked, Problem, ProblemBody};
use crate::auth::{Grant, Hash, Role, new_code, new_id};
use crate::launch::sign_in_link;
use crate::site::Site;
use crate::store::users::{self, User};
use crate::store::{StoreError, codes};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use http::request::Parts;
use ocelli_net::connection::Peer;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

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

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// What other calls know them by.
    id: String,
    name: String,
    roles: Vec<RoleView>,
    /// Whether they have chosen a password.
    has_password: bool,
    /// In ms since the Unix epoch.
    created_at: i64,
}

impl From<User> for View {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            roles: user.roles.into_iter().map(RoleView::from).collect(),
            has_password: user.has_password,
            created_at: user.created,
        }
    }
}

/// A user, with the link by which they set a password, if one was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithLink {
    #[serde(flatten)]
    user: View,
    /// Shown this once; it works once.
    link: Option<String>,
    /// Until when it works, in ms since the Unix epoch.
    link_expires_at: Option<i64>,
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

/// Reads roles, within what whoever gives them has.
fn roles(
    site: &Site,
    own: &Grant,
    views: Vec<RoleView>,
) -> Result<Vec<(Option<String>, Role)>, Problem> {
    let roles: Vec<(Option<String>, Role)> = views.into_iter().map(Into::into).collect();
    if roles.is_empty() {
        let message = "roles in the body: without any the user could do nothing";
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let mut seen = BTreeSet::new();
    for (app, _) in &roles {
        if !seen.insert(app) {
            let message = "roles in the body: a user has one role in an app, and one in all";
            return Err(Problem::new(StatusCode::CONFLICT, message));
        }
        if let Some(app) = app
            && site.hub.app(app).is_none()
        {
            let message = format!("roles in the body: there is no app {app:?}");
            return Err(Problem::not_found(message));
        }
    }
    let given = roles.iter().map(|(app, role)| role.allowance(app.clone()));
    check_covers(own, &Grant::new(given))?;
    Ok(roles)
}

/// A one-time code for a user, to be kept by the job that decides that they get one.
struct Code {
    link: String,
    hash: Hash,
    expires: i64,
}

impl Code {
    fn new(site: &Site, peer: &Peer, parts: &Parts) -> Result<Self, StoreError> {
        let code = new_code();
        let origin = site
            .front
            .gate
            .own_address(&parts.uri, &parts.headers, peer);
        Ok(Self {
            link: sign_in_link(&origin, &code),
            hash: site.identity.store.key()?.hash(&code),
            expires: site.identity.now() + codes::GOOD_FOR_USER,
        })
    }

    fn keep(&self, connection: &mut Connection, user: &User) -> Result<(), StoreError> {
        codes::put(connection, &self.hash, Some(&user.id), self.expires)
    }
}

impl WithLink {
    fn of(user: User, code: Option<Code>) -> Self {
        let (link, expires) = code.map(|code| (code.link, code.expires)).unzip();
        Self {
            user: user.into(),
            link,
            link_expires_at: expires,
        }
    }
}

/// The users, by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", operation_id = "listUsers",
    security(("token" = ["user:read", "global"])), params(Window),
    responses((status = 200, description = "The users", body = Page<View>)))]
pub async fn list(
    State(site): State<Arc<Site>>,
    Asked(window): Asked<Window>,
) -> Result<Page<View>, Problem> {
    let users = site
        .identity
        .store
        .call(|connection| users::all(connection))
        .await?;
    window.of(users.into_iter().map(View::from).collect())
}

/// Adds a user, who sets a password by the link in the answer.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "createUser",
    security(("token" = ["user:create", "global"])), request_body = NewUser,
    responses(
        (status = 201, description = "Added; the link is shown this once", body = Answer<WithLink>),
        (status = 404, description = "There is no such app", body = ProblemBody),
        (status = 409, description = "There is one of that name, or two roles for an app",
            body = ProblemBody)))]
pub async fn create(
    State(site): State<Arc<Site>>,
    Extension(own): Extension<Grant>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Answer<WithLink>), Problem> {
    check_name(&new.name)?;
    let user = User {
        id: new_id("usr"),
        roles: roles(&site, &own, new.roles)?,
        name: new.name,
        has_password: false,
        created: site.identity.now(),
    };
    let code = Code::new(&site, &peer, &parts)?;
    let insert = move |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        users::insert(&transaction, &user)?;
        transaction.commit()?;
        code.keep(connection, &user)?;
        Ok(WithLink::of(user, Some(code)))
    };
    let made = site.identity.store.call(insert).await?;
    Ok((StatusCode::CREATED, Answer::new(made)))
}

/// Changes a user, at once and for all of their sessions.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", operation_id = "changeUser",
    security(("token" = ["user:write", "global"])), request_body = UserChange,
    params(("id" = String, Path, description = "`usr_…`")),
    responses(
        (status = 200, description = "As they are now; a link is shown this once",
            body = Answer<WithLink>),
        (status = 404, description = "There is none, or no such app", body = ProblemBody),
        (status = 409, description = "The name is taken, two roles are for one app, or no \
            administrator would be left",
            body = ProblemBody)))]
pub async fn change(
    State(site): State<Arc<Site>>,
    Extension(own): Extension<Grant>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    parts: Parts,
    Body(change): Body<UserChange>,
) -> Result<Answer<WithLink>, Problem> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    let roles = change.roles.map(|views| roles(&site, &own, views));
    let roles = roles.transpose()?;
    let reset = change.reset_password;
    let code = reset.then(|| Code::new(&site, &peer, &parts)).transpose()?;
    let update = move |connection: &mut Connection| {
        let mut user = match known(connection, &own, &id)? {
            Ok(user) => user,
            Err(problem) => return Ok(Err(problem)),
        };
        user.name = change.name.unwrap_or(user.name);
        user.roles = roles.unwrap_or(user.roles);
        users::update(connection, &user)?;
        if let Some(code) = &code {
            code.keep(connection, &user)?;
        }
        Ok(Ok(WithLink::of(user, code)))
    };
    let changed = site.identity.store.call(update).await??;
    site.identity.visitors.look_again();
    Ok(Answer::new(changed))
}

/// Takes a user out, with their sessions and the wall links that they made.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users", operation_id = "deleteUser",
    security(("token" = ["user:delete", "global"])),
    params(("id" = String, Path, description = "`usr_…`")),
    responses(
        (status = 200, description = "They are gone", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody),
        (status = 409, description = "No administrator would be left", body = ProblemBody)))]
pub async fn delete(
    State(site): State<Arc<Site>>,
    Extension(own): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let delete = move |connection: &mut Connection| {
        if let Err(problem) = known(connection, &own, &id)? {
            return Ok(Err(problem));
        }
        users::delete(connection, &id)?;
        Ok(Ok(Gone { id }))
    };
    let gone = site.identity.store.call(delete).await??;
    site.identity.visitors.look_again();
    Ok(Answer::new(gone))
}

/// The user of an id, if they are no more than whoever asks. Part of the job that goes by
/// it: somebody could be promoted between two.
fn known(
    connection: &Connection,
    own: &Grant,
    id: &str,
) -> Result<Result<User, Problem>, StoreError> {
    let user = users::by_id(connection, id)?.ok_or_else(users::missing)?;
    Ok(check_covers(own, &user.grant()).map(|()| user))
}
