//! `/api/v1/session`: sign-in with a password or a one-time code, and sign-out.
//!
//! A session is a cookie that the hub accepts only from its own pages; `visitor` checks it, this
//! module sets it.

use super::apps::DeletedItem;
use super::body::Body;
use crate::answer::{Answer, Problem, ProblemBody};
use crate::api::state::Api;
use crate::auth::{Busy, Grant, NamedSecret, check_password};
use crate::catalog::{RoleView, check_name};
use crate::store::sessions::{self, MAX_AGE, Session};
use crate::store::users::{self, User};
use crate::store::{StoreError, codes};
use crate::visitor::{Visitor, cookie};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use ocelli_core::text::is_control;
use ocelli_net::request::Peer;
use ocelli_net::throttle::AddressPrefix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Maximum stored length of a `User-Agent`, in characters.
const USER_AGENT_LIMIT: usize = 200;
/// The error if another request has set the password.
const PASSWORD_CHANGED: &str = "the password was changed in the meantime; sign in again";

/// The current session and its permissions.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionOfMine)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// The signed-in user, if any.
    user: Option<CurrentUser>,
    /// The session of the signed-in user, if any.
    session: Option<CurrentSession>,
    /// The permissions of the session or of the token in the header.
    permissions: Permissions,
    /// Whether the hub has no users yet. The first user is created with the link that the hub
    /// prints at start.
    setup_open: bool,
    /// Whether playback is not public in at least one app.
    some_private: bool,
    /// The wall, if the URL contains the token of a wall link.
    wall: Option<VisitedWall>,
}

/// A wall, as shown to the holder of its link.
#[derive(Serialize, ToSchema)]
#[schema(as = VisitedWall)]
#[serde(rename_all = "camelCase")]
struct VisitedWall {
    name: String,
    /// When the link expires, in ms since the Unix epoch.
    expires_at: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
struct CurrentUser {
    id: String,
    name: String,
    roles: Vec<RoleView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Current)]
#[serde(rename_all = "camelCase")]
struct CurrentSession {
    id: String,
    /// When it expires if it is not used, in ms since the Unix epoch.
    expires_at: i64,
}

#[derive(Serialize, ToSchema)]
struct Permissions {
    /// The permissions for all apps and the hub.
    global: Vec<&'static str>,
    /// The permissions in each app, for apps with at least one.
    apps: BTreeMap<String, Vec<&'static str>>,
}

impl SessionView {
    async fn of(api: &Api, grant: &Grant, signed_in: Option<(User, Session)>) -> Self {
        let any = api
            .identity
            .store
            .call(|connection| users::any(connection))
            .await;
        let apps = api.hub.apps();
        let some_private = apps.iter().any(|app| !app.public_playback);
        let (user, session) = signed_in.unzip();
        Self {
            user: user.map(|user| CurrentUser {
                roles: user.roles.into_iter().map(RoleView::from).collect(),
                id: user.id,
                name: user.name,
            }),
            session: session.map(|session| CurrentSession {
                expires_at: session.expires(),
                id: session.id,
            }),
            permissions: Permissions {
                global: grant.list(None),
                // Omit apps without permissions, so that not even their names are revealed.
                apps: apps
                    .into_iter()
                    .map(|app| (app.name.clone(), grant.list(Some(&app.name))))
                    .filter(|(_, permissions)| !permissions.is_empty())
                    .collect(),
            },
            setup_open: any == Ok(false),
            some_private,
            wall: None,
        }
    }
}

fn invalid_field(field: &str, why: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("{field} in the body: {why}"),
    )
}

/// Refuses requests from pages of another origin, which could sign a browser in to another
/// account.
fn check_page(peer: &Peer) -> Result<(), Problem> {
    match peer.origin.is_own() {
        Some(false) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "only the hub's own pages may do this; the request has another Origin",
        )),
        _ => Ok(()),
    }
}

fn busy(Busy: Busy) -> Problem {
    Problem::too_many("password checks at once", Duration::from_secs(2))
}

/// Starts a session and sets its cookie.
///
/// The browser's previous session ends, which prevents session fixation.
async fn start_session(
    api: &Api,
    peer: &Peer,
    parts: &Parts,
    user: User,
    password: String,
) -> Result<Response, Problem> {
    let key = api.identity.store.key()?;
    let named = NamedSecret::new("ses");
    let agent = parts.headers.get(USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    let now = api.identity.now();
    let session = Session {
        id: named.id.clone(),
        user: user.id.clone(),
        address: peer.remote.ip().to_canonical().to_string(),
        agent: agent
            .unwrap_or_default()
            .chars()
            .filter(|c| !is_control(*c))
            .take(USER_AGENT_LIMIT)
            .collect(),
        created: now,
        seen: now,
    };
    let before = Visitor::of(&api.identity, parts).await.ok();
    let before = before.and_then(|visitor| visitor.signed_in());
    let (current, hash) = (session.clone(), key.hash(&named.secret));
    let keep = move |connection: &mut rusqlite::Connection| {
        // The password may have been changed since it was compared.
        if users::password(connection, &current.user)?.as_ref() != Some(&password) {
            return Err(StoreError::Conflict(PASSWORD_CHANGED.to_owned()));
        }
        if let Some((_, before)) = before {
            sessions::end(connection, &before.id, None)?;
        }
        sessions::begin(connection, &current, &hash)
    };
    api.identity.store.call(keep).await?;
    api.identity.visitors.recheck();
    let set = cookie(key, peer.secure, &named.text(), MAX_AGE / 1000);
    let view = SessionView::of(api, &user.grant(), Some((user, session))).await;
    Ok(with_cookie(set, Answer::new(view)))
}

fn with_cookie(cookie: String, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Returns the current session and its permissions.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", operation_id = "showSession",
    security(()),
    responses(
        (status = 200, description = "The session", body = Answer<SessionView>),
        (status = 401, description = "The token is invalid", body = ProblemBody)))]
pub async fn show(State(api): State<Api>, visitor: Visitor) -> Answer<SessionView> {
    let view = SessionView::of(&api, &visitor.grant(), visitor.signed_in()).await;
    let wall = visitor.wall().map(|wall| VisitedWall {
        name: wall.name,
        expires_at: wall.expires,
    });
    Answer::new(SessionView { wall, ..view })
}

/// The credentials of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name.
    name: String,
    /// The user's password.
    password: String,
}

/// Signs a user in and sets the session cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", operation_id = "signIn",
    security(()), request_body = SignIn,
    responses(
        (status = 200, description = "Signed in", body = Answer<SessionView>),
        (status = 401, description = "The name or the password is wrong", body = ProblemBody),
        (status = 403, description = "The request comes from a page of another origin", body = ProblemBody),
        (status = 409, description = "The password was changed in the meantime", body = ProblemBody),
        (status = 429, description = "Too many attempts", body = ProblemBody),
        (status = 503, description = "The store can't be used", body = ProblemBody)))]
pub async fn sign_in(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Body(body): Body<SignIn>,
) -> Result<Response, Problem> {
    check_page(&peer)?;
    let prefix = AddressPrefix::from(peer.remote.ip());
    let counted = api.identity.attempts.count(prefix, Some(&body.name));
    counted.map_err(|after| Problem::too_many("attempts to sign in", after))?;
    let name = body.name.clone();
    let look_up = move |connection: &mut rusqlite::Connection| {
        let Some(user) = users::by_name(connection, &name)? else {
            return Ok(None);
        };
        let password = users::password(connection, &user.id)?;
        Ok(password.map(|password| (user, password)))
    };
    let (user, hash) = api.identity.store.call(look_up).await?.unzip();
    let is = api
        .identity
        .passwords
        .verify(body.password, hash.clone())
        .await;
    match (is.map_err(busy)?, user, hash) {
        (true, Some(user), Some(hash)) => {
            api.identity.attempts.succeeded(prefix, Some(&body.name));
            start_session(&api, &peer, &parts, user, hash).await
        }
        _ => {
            tracing::warn!(peer = %peer.remote, "sign-in refused");
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "the name or the password is wrong; check both and try again",
            ))
        }
    }
}

/// Signs out and ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", operation_id = "signOut",
    security(("session" = [])),
    responses((status = 200, description = "Signed out", body = Answer<DeletedItem>)))]
pub async fn sign_out(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let Some((_, session)) = visitor.signed_in() else {
        return Err(Problem::not_found("no user is signed in"));
    };
    let id = session.id.clone();
    let end = move |connection: &mut rusqlite::Connection| sessions::end(connection, &id, None);
    api.identity.store.call(end).await?;
    api.identity.visitors.recheck();
    let taken_away = cookie(api.identity.store.key()?, peer.secure, "", 0);
    Ok(with_cookie(
        taken_away,
        Answer::new(DeletedItem { id: session.id }),
    ))
}

/// A one-time code and the password to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// The code, which follows `#code=` in the link.
    code: String,
    /// The user name; required for a code that the hub or `ocelli admin link` printed.
    #[schema(
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$"
    )]
    name: Option<String>,
    /// The new password.
    #[schema(min_length = 10, max_length = 512)]
    password: String,
}

/// Sets a password with a one-time code and signs in. A code that the hub or `ocelli admin link`
/// printed makes the named user an administrator. A code from an administrator works only for the
/// user it was created for.
#[utoipa::path(post, path = "/api/v1/setup", tag = "session", operation_id = "setUp",
    security(()), request_body = SetUp,
    responses(
        (status = 200, description = "Password set; signed in", body = Answer<SessionView>),
        (status = 401, description = "The code is invalid, was used, or has expired", body = ProblemBody),
        (status = 403, description = "The request comes from a page of another origin", body = ProblemBody),
        (status = 409, description = "The code was used or the password was changed in the meantime", body = ProblemBody),
        (status = 429, description = "Too many attempts", body = ProblemBody),
        (status = 503, description = "The store can't be used", body = ProblemBody)))]
pub async fn set_up(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    parts: Parts,
    Body(body): Body<SetUp>,
) -> Result<Response, Problem> {
    check_page(&peer)?;
    check_password(&body.password).map_err(|fault| invalid_field("password", fault))?;
    if let Some(name) = &body.name {
        check_name(name)?;
    }
    let prefix = AddressPrefix::from(peer.remote.ip());
    let counted = api.identity.attempts.count(prefix, None);
    counted.map_err(|after| Problem::too_many("attempts with a code", after))?;
    let code = api.identity.store.key()?.hash(body.code.trim());
    let meant = api.catalog.code_purpose(code.clone()).await?;
    let meant = meant.ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "the link or its code is invalid, was already used, or has expired; ask an \
             administrator for a new link, or run `ocelli admin link` on the hub's machine",
        )
    })?;
    if meant == codes::CodePurpose::Administrator && body.name.is_none() {
        return Err(invalid_field("name", "this code needs a user name"));
    }
    let hash = api
        .identity
        .passwords
        .hash(body.password)
        .await
        .map_err(busy)?;
    let user = api.catalog.use_code(code, body.name, hash.clone()).await?;
    api.identity.attempts.succeeded(prefix, None);
    start_session(&api, &peer, &parts, user, hash).await
}

/// A change of the user's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The current password.
    old: String,
    /// The new password.
    #[schema(min_length = 10, max_length = 512)]
    new: String,
}

/// Changes the user's own password and ends the user's other sessions.
#[utoipa::path(post, path = "/api/v1/session/password", tag = "session",
    operation_id = "changePassword", security(("session" = [])), request_body = PasswordChange,
    responses(
        (status = 200, description = "Changed", body = Answer<DeletedItem>),
        (status = 409, description = "The password was changed in the meantime", body = ProblemBody),
        (status = 429, description = "Too many attempts", body = ProblemBody)))]
pub async fn change_password(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    visitor: Visitor,
    Body(body): Body<PasswordChange>,
) -> Result<Answer<DeletedItem>, Problem> {
    let Some((user, session)) = visitor.signed_in() else {
        return Err(Problem::not_found("no user is signed in"));
    };
    check_password(&body.new).map_err(|fault| invalid_field("new", fault))?;
    let prefix = AddressPrefix::from(peer.remote.ip());
    let counted = api.identity.attempts.count(prefix, Some(&user.name));
    counted.map_err(|after| Problem::too_many("password attempts", after))?;
    let id = user.id.clone();
    let look_up = move |connection: &mut rusqlite::Connection| users::password(connection, &id);
    let old = api.identity.store.call(look_up).await?;
    let is = api.identity.passwords.verify(body.old, old.clone()).await;
    let is = is.map_err(busy)?;
    if !is {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "old in the body: it is wrong; enter it again",
        ));
    }
    api.identity.attempts.succeeded(prefix, Some(&user.name));
    let hash = api.identity.passwords.hash(body.new).await.map_err(busy)?;
    let id = user.id.clone();
    let set = api.catalog.set_password(id, old, hash, session.id);
    set.await?;
    Ok(Answer::new(DeletedItem { id: user.id }))
}
