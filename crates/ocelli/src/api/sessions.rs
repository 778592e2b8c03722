//! `/api/v1/sessions`: which sessions there are, and the end of them.

use super::apps::Gone;
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
    /// By this it is ended.
    id: String,
    /// The id of the user whose it is.
    user_id: String,
    /// The address from which it was begun.
    address: String,
    /// What the browser calls itself.
    agent: String,
    /// In ms since the Unix epoch.
    created_at: i64,
    /// When it was last used, to the minute.
    seen_at: i64,
    /// When it ends unless it is used.
    expires_at: i64,
    /// Whether it is the one that asks.
    current: bool,
}

/// Whose sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// `all` for everybody's, which needs `session:read` for all apps; else one's own.
    #[param(inline)]
    of: Option<Everybody>,
}

/// Everybody.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Everybody {
    /// All users.
    All,
}

/// One's own sessions, or everybody's, the last used first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "session", operation_id = "listSessions",
    security(("token" = ["session:read", "global"]), ("session" = [])), params(Whose, Window),
    responses((status = 200, description = "The sessions", body = Page<UserSessionView>)))]
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    QueryParams(whose): QueryParams<Whose>,
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

/// Ends a session: one's own, or with `session:delete` for all apps anybody's.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "session", operation_id = "endSession",
    security(("token" = ["session:delete", "global"]), ("session" = [])),
    params(("id" = String, Path, description = "`ses_…`")),
    responses(
        (status = 200, description = "It has ended", body = Answer<Gone>),
        (status = 404, description = "There is none", body = ProblemBody)))]
pub async fn end(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Answer<Gone>, Problem> {
    let everybodys = visitor.grant().allows("session:delete", None);
    let own = visitor.signed_in().map(|(user, _)| user.id);
    let user = if everybodys { None } else { own };
    let sought = id.clone();
    let end = move |connection: &mut rusqlite::Connection| {
        sessions::end(connection, &sought, user.as_deref())
    };
    if api.identity.store.call(end).await? {
        api.identity.visitors.recheck();
        return Ok(Answer::new(Gone { id }));
    }
    Err(Problem::not_found("there is no session of that id"))
}
