//! Who may call what: every request of the interface passes here.

use super::UNKNOWN;
use crate::answer::Problem;
use crate::auth::Grant;
use crate::site::Site;
use crate::store::tokens;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ocelli_core::name::DEFAULT_APP;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::OpenApi;

/// Addresses of series, which are seen by whoever sees app `live`, and so are its.
const SERIES: &str = "/api/v1/series";

/// What a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing: it is for anybody.
    Public,
    /// A token with this permission.
    Needs(String),
}

/// What each call needs, by address and method, as the document has it.
pub struct Rules(BTreeMap<String, BTreeMap<String, Rule>>);

impl Rules {
    /// The rules that the handlers declare. A call without one is not in it.
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let rules = paths.map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            let rules = methods.filter_map(|(method, call)| {
                let [need] = call["security"].as_array()?.as_slice() else {
                    return None;
                };
                let rule = match need.as_object()?.get("token") {
                    None => Rule::Public,
                    Some(permissions) => Rule::Needs(permissions[0].as_str()?.to_owned()),
                };
                Some((method.to_ascii_uppercase(), rule))
            });
            (path.clone(), rules.collect())
        });
        Self(rules.collect())
    }
}

/// Lets through whoever may call what was called; handlers find their [`Grant`]
/// among the request's extensions.
pub async fn guard(
    State((site, rules)): State<(Arc<Site>, Arc<Rules>)>,
    matched: MatchedPath,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    if matched.as_str() == UNKNOWN {
        return next.run(request).await;
    }
    let none = BTreeMap::new();
    let methods = rules.0.get(matched.as_str()).unwrap_or(&none);
    // HEAD is GET without the body.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let permission = match methods.get(method) {
        Some(Rule::Public) => return next.run(request).await,
        Some(Rule::Needs(permission)) => permission,
        None => return not_allowed(methods.keys().map(String::as_str).collect()),
    };
    let Ok(params) = params else {
        let message = "the address holds what is no UTF-8";
        return Problem::new(StatusCode::BAD_REQUEST, message).into_response();
    };
    let app = params.iter().find(|(name, _)| *name == "app");
    let app = match matched.as_str().starts_with(SERIES) {
        true => Some(DEFAULT_APP),
        false => app.map(|(_, app)| app),
    };
    let allowed = match grant(&site, request.headers()).await {
        Ok(grant) => check(&grant, permission, app).map(|()| grant),
        Err(problem) => Err(problem),
    };
    match allowed {
        Ok(grant) => {
            request.extensions_mut().insert(grant);
            let mut response = next.run(request).await;
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let headers = response.headers_mut();
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

fn not_allowed(methods: Vec<&str>) -> Response {
    let methods = methods.join(", ");
    let message = format!("this address takes {methods}");
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    if let Ok(methods) = HeaderValue::try_from(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// Checks that a grant has a permission, and reaches the app that is spoken of.
///
/// # Errors
/// 403 that names the permission or the app.
pub fn check(grant: &Grant, permission: &str, app: Option<&str>) -> Result<(), Problem> {
    let refuse = |message| Err(Problem::new(StatusCode::FORBIDDEN, message));
    if !grant.has(permission) {
        return refuse(format!(
            "this needs the permission {permission:?}, which the token does not have"
        ));
    }
    match (&grant.app, app) {
        (Some(own), Some(app)) if own != app => refuse(format!(
            "the token is for app {own:?} alone; this needs {permission:?} in app {app:?}"
        )),
        _ => Ok(()),
    }
}

/// Checks that a grant is for the whole hub.
///
/// # Errors
/// 403 that names the permission.
pub fn check_global(grant: &Grant, permission: &str) -> Result<(), Problem> {
    match &grant.app {
        None => Ok(()),
        Some(own) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "this needs {permission:?} in a global token; this one is for app {own:?} alone"
            ),
        )),
    }
}

/// What whoever asks may do.
async fn grant(site: &Site, headers: &HeaderMap) -> Result<Grant, Problem> {
    let refuse = |message: &str| Problem::new(StatusCode::UNAUTHORIZED, message);
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(refuse(
            "this needs a token, in one header `Authorization: Bearer sk_…`",
        ));
    };
    let token = header.to_str().ok().and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        let token = token.trim();
        let meant = scheme.eq_ignore_ascii_case("bearer") && token.starts_with("sk_");
        meant.then_some(token)
    });
    let Some(token) = token else {
        return Err(refuse(
            "the Authorization header does not read `Bearer sk_…`, with a token of this hub",
        ));
    };
    if site.admin.as_ref().is_some_and(|admin| admin.is(token)) {
        return Ok(Grant::everything());
    }
    let hash = site.store.key()?.hash(token);
    let found = site
        .store
        .call(move |connection| tokens::grant(connection, &hash))
        .await?;
    found.ok_or_else(|| refuse("there is no such token; perhaps it was revoked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_declares_nothing_has_no_rule_and_so_is_refused() {
        let mut document = crate::api::handlers().split_for_parts().1;
        let call = |document: &OpenApi| {
            let rules = Rules::of(document);
            rules.0["/api/v1/apps"].get("GET").cloned()
        };
        assert_eq!(call(&document), Some(Rule::Needs("app:read".to_owned())));
        let path = document.paths.paths.get_mut("/api/v1/apps");
        let operation = path.and_then(|path| path.get.as_mut()).expect("a call");
        operation.security = None;
        assert_eq!(call(&document), None);
    }
}
