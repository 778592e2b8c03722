//! The HTTP interface under `/api/v1`, and what monitors ask: `/health`, `/ready`, `/metrics`.
//!
//! A handler says in its `utoipa::path` which permission it needs (and with "global"
//! beside it that one app's does not do), or with `"session"` that it is for a user who
//! is signed in, or with `security(())` that it needs nothing. From there the document takes it, and
//! [`access`] what it holds requests to, so neither can say something else; an
//! address that says nothing is refused.
//!
//! What does not belong here: playback, which has its own rule (`sinks`).

mod access;
mod apps;
mod body;
mod cameras;
mod devices;
mod document;
mod health;
mod ingest;
mod links;
mod page;
mod paths;
mod series;
mod session;
mod sessions;
mod state;
mod streams;
mod tokens;
mod users;

pub use state::{Api, State};

use crate::answer::Problem;
use access::Rules;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use axum::{Extension, Router, middleware};
use document::Documents;
use paths::{CAMERA_TEST, UNKNOWN};
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Every handler of the interface.
fn handlers() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::opening())
        .routes(routes!(health::up))
        .routes(routes!(health::ready))
        .routes(routes!(health::numbers))
        .routes(routes!(cameras::list, cameras::edit::create))
        .routes(routes!(
            cameras::show,
            cameras::edit::change,
            cameras::edit::delete
        ))
        .routes(routes!(cameras::trial::test))
        .routes(routes!(devices::list))
        .routes(routes!(health::camera))
        .routes(routes!(apps::list, apps::create))
        .routes(routes!(apps::show, apps::change, apps::delete))
        .routes(routes!(ingest::list, ingest::mint))
        .routes(routes!(ingest::revoke))
        .routes(routes!(ingest::live))
        .routes(routes!(streams::list))
        .routes(routes!(streams::stop))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(series::list, series::add))
        .routes(routes!(series::sources))
        .routes(routes!(series::status))
        .routes(routes!(series::change, series::delete))
        .routes(routes!(session::show, session::sign_in, session::sign_out))
        .routes(routes!(session::set_up))
        .routes(routes!(session::change_password))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::change, users::delete))
        .routes(routes!(links::play))
        .routes(routes!(links::list, links::create))
        .routes(routes!(links::revoke))
        .routes(routes!(document::json))
        .routes(routes!(document::page))
}

/// What the handlers say of themselves.
fn openapi() -> OpenApi {
    handlers().split_for_parts().1
}

/// The addresses of the HTTP interface.
pub fn routes(api: Api) -> Router {
    let (router, document) = handlers().split_for_parts();
    let rules = Arc::new(Rules::of(&document));
    let guard = middleware::from_fn_with_state((api.clone(), rules), access::guard);
    router
        .route(CAMERA_TEST, cameras::named_test())
        .route(UNKNOWN, any(unknown))
        .layer(guard)
        .layer(Extension(Arc::new(Documents::new(openapi))))
        .layer(DefaultBodyLimit::max(api.front.limits.body_size))
        .with_state(api)
}

async fn unknown() -> Problem {
    Problem::not_found("there is no such address in the HTTP interface; see /api/v1/docs")
}
