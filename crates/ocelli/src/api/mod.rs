//! The HTTP API under `/api/v1`, and the monitoring endpoints `/health`, `/ready` and `/metrics`.
//!
//! Each handler declares its requirement in `utoipa::path`: a permission (with `"global"` if it
//! must apply to all apps), `"session"` for a signed-in user, or `security(())` for public calls.
//! The OpenAPI document and the check in [`access`] both use this declaration, so they cannot
//! disagree. A call without a declaration is refused.
//!
//! Playback has its own authorization (`sinks`).

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

/// All handlers of the API.
fn handlers() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::base_document())
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
        .routes(routes!(ingest::list, ingest::create))
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

/// The OpenAPI document of the handlers.
fn openapi() -> OpenApi {
    handlers().split_for_parts().1
}

/// The routes of the API.
pub fn routes(api: Api) -> Router {
    let (router, document) = handlers().split_for_parts();
    let rules = Arc::new(Rules::of(&document));
    let guard = middleware::from_fn_with_state((api.clone(), rules), access::guard);
    router
        .route(CAMERA_TEST, cameras::room_named_test())
        .route(UNKNOWN, any(unknown))
        .layer(guard)
        .layer(Extension(Arc::new(Documents::new(openapi))))
        .layer(DefaultBodyLimit::max(api.server_state.limits.body_size))
        .with_state(api)
}

async fn unknown() -> Problem {
    Problem::not_found("the HTTP API has no such URL; see /api/v1/docs")
}
