//! `/api/v1/sessions`: lists and ends sessions.

use super::apps::DeletedItem;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::store::sessions;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A session, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
pub struct UserSessionView {
    /// The id for ending it.
    id: String,
    /// The id of its user.
    user_id: String,
    /// The client's address at sign-in.
    address: String,
    /// The browser's `User-Agent`.
    agent: String,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// When it was last used, accurate to a minute.
    seen_at: i64,
    /// When it expires if it is not used.
    expires_at: i64,
    /// Whether it is the session of this request.
    current: bool,
}

/// Whose sessions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionFilter {
    /// `all` for the sessions of all users, which needs `session:read` for all apps; otherwise the
    /// user's own sessions.
    #[param(inline)]
    of: Option<AllUsers>,
}

/// All users.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[schema(as = Everybody)]
#[serde(rename_all = "lowercase")]
pub enum AllUsers {
    /// All users.
    All,
}

/// Lists the user's own sessions or those of all users, most recently used first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "session", operation_id = "listSessions",
    security(("token" = ["session:read", "global"]), ("session" = [])), params(SessionFilter, Window),
    responses((status = 200, description = "The sessions", body = Page<UserSessionView>)))]
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    QueryParams(whose): QueryParams<SessionFilter>,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<UserSessionView>, Problem> {
    let own = visitor.signed_in();
    let user = match (&own, whose.of) {
        (Some((user, _)), None) => Some(user.id.clone()),
        _ => {
            visitor.grant().check_global("session:read")?;
            None
        }
    };
    let now = api.identity.now();
    let all = move |connection: &mut rusqlite::Connection| {
        sessions::all(connection, user.as_deref(), now)
    };
    let sessions = api.identity.store.call(all).await?.into_iter();
    let current = own.map(|(_, session)| session.id);
    let listed = sessions.map(|session| UserSessionView {
        current: Some(&session.id) == current.as_ref(),
        expires_at: session.expires(),
        id: session.id,
        user_id: session.user,
        address: session.address,
        agent: session.agent,
        created_at: session.created,
        seen_at: session.seen,
    });
    window.of(listed.collect())
}

/// Ends a session: the user's own, or any with `session:delete` for all apps.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "session", operation_id = "endSession",
    security(("token" = ["session:delete", "global"]), ("session" = [])),
    params(("id" = String, Path, description = "`ses_…`")),
    responses(
        (status = 200, description = "Ended", body = Answer<DeletedItem>),
        (status = 404, description = "There is no such session", body = ProblemBody)))]
pub async fn end(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    let everybodys = visitor.grant().allows("session:delete", None);
    let own = visitor.signed_in().map(|(user, _)| user.id);
    let user = if everybodys { None } else { own };
    let sought = id.clone();
    let end = move |connection: &mut rusqlite::Connection| {
        sessions::end(connection, &sought, user.as_deref())
    };
    if api.identity.store.call(end).await? {
        api.identity.visitors.recheck();
        return Ok(Answer::new(DeletedItem { id }));
    }
    Err(Problem::not_found("there is no session with this id"))
}
