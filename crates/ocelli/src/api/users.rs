//! `/api/v1/users`: user accounts and their roles.

use super::apps::DeletedItem;
use super::body::Body;
use super::page::{Page, Window};
use crate::answer::{Answer, Problem, ProblemBody, QueryParams};
use crate::api::state::Api;
use crate::catalog::{NewUser, RoleView, SignInCode, UserChange};
use crate::store::users::User;
use crate::urls::Urls;
use crate::visitor::Visitor;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The id to use in other calls.
    id: String,
    name: String,
    roles: Vec<RoleView>,
    /// Whether the user has set a password.
    has_password: bool,
    /// In ms since the Unix epoch.
    created_at: i64,
}

impl From<User> for UserView {
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

/// A user, with a link for setting a password if one was created.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithLink {
    #[serde(flatten)]
    user: UserView,
    /// The link, which is returned only here and works once.
    link: Option<String>,
    /// When the link expires, in ms since the Unix epoch.
    link_expires_at: Option<i64>,
}

impl WithLink {
    /// A user, with a link to `origin` for the code.
    fn of(user: User, code: Option<SignInCode>, urls: &Urls) -> Self {
        Self {
            user: user.into(),
            link: code.as_ref().map(|code| urls.sign_in(&code.code)),
            link_expires_at: code.map(|code| code.expires),
        }
    }
}

/// Lists all users, ordered by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", operation_id = "listUsers",
    security(("token" = ["user:read", "global"])), params(Window),
    responses((status = 200, description = "The users", body = Page<UserView>)))]
pub async fn list(
    State(api): State<Api>,
    QueryParams(window): QueryParams<Window>,
) -> Result<Page<UserView>, Problem> {
    let users = api.catalog.users().await?;
    window.of(users.into_iter().map(UserView::from).collect())
}

/// Adds a user, who sets a password with the link in the response.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "createUser",
    security(("token" = ["user:create", "global"])), request_body = NewUser,
    responses(
        (status = 201, description = "Added; the link is returned only here", body = Answer<WithLink>),
        (status = 404, description = "The app does not exist", body = ProblemBody),
        (status = 409, description = "The name is taken, or an app has two roles",
            body = ProblemBody)))]
pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    urls: Urls,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Answer<WithLink>), Problem> {
    let (user, code) = api.catalog.add_user(new, &visitor.grant()).await?;
    let made = WithLink::of(user, Some(code), &urls);
    Ok((StatusCode::CREATED, Answer::new(made)))
}

/// Changes a user; all of the user's sessions are affected at once.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", operation_id = "changeUser",
    security(("token" = ["user:write", "global"])), request_body = UserChange,
    params(("id" = String, Path, description = "`usr_…`")),
    responses(
        (status = 200, description = "The changed user; a link is returned only here",
            body = Answer<WithLink>),
        (status = 404, description = "The user or the app does not exist", body = ProblemBody),
        (status = 409, description = "The name is taken, an app has two roles, or no \
            administrator would be left",
            body = ProblemBody)))]
pub async fn change(
    State(api): State<Api>,
    visitor: Visitor,
    urls: Urls,
    Path(id): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<Answer<WithLink>, Problem> {
    let (user, code) = api.catalog.change_user(id, change, visitor.grant()).await?;
    Ok(Answer::new(WithLink::of(user, code, &urls)))
}

/// Deletes a user, the user's sessions and the wall links that the user created.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users", operation_id = "deleteUser",
    security(("token" = ["user:delete", "global"])),
    params(("id" = String, Path, description = "`usr_…`")),
    responses(
        (status = 200, description = "Deleted", body = Answer<DeletedItem>),
        (status = 404, description = "The user does not exist", body = ProblemBody),
        (status = 409, description = "No administrator would be left", body = ProblemBody)))]
pub async fn delete(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Answer<DeletedItem>, Problem> {
    api.catalog.delete_user(id.clone(), visitor.grant()).await?;
    Ok(Answer::new(DeletedItem { id }))
}
