//! Authorization middleware: checks the permission that each API call declares.

use super::paths::{CAMERA, CAMERA_TEST, UNKNOWN};
use crate::answer::{Problem, invalid_utf8};
use crate::api::state::Api;
use crate::visitor::Visitor;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use ocelli_core::name::{DEFAULT_APP, split_id};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::OpenApi;

/// Series belong to app `live`: clients that may read the app may read them.
const SERIES: &str = "/api/v1/series";

/// In a `security` declaration, marks a permission that must apply to all apps and the hub.
const HUB_WIDE: &str = "global";

/// The requirement of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Open to everyone.
    Public,
    /// A signed-in user.
    SignedIn,
    /// A token or a user with this permission.
    Needs {
        permission: String,
        /// Whether the permission must apply to all apps and the hub.
        hub_wide: bool,
        /// Whether a signed-in user needs no permission.
        or_signed_in: bool,
    },
}

impl Rule {
    /// The rule that a call's `security` declares.
    fn of(security: &Value) -> Option<Self> {
        let alternatives = security.as_array()?.iter();
        let alternatives: Vec<_> = alternatives.map(Value::as_object).collect::<Option<_>>()?;
        let signed_in = alternatives.iter().any(|one| one.contains_key("session"));
        let needs = alternatives.iter().find_map(|one| one.get("token"));
        match (needs, signed_in, alternatives.as_slice()) {
            (Some(needs), or_signed_in, _) => Some(Rule::Needs {
                permission: needs[0].as_str()?.to_owned(),
                hub_wide: needs[1] == HUB_WIDE,
                or_signed_in,
            }),
            (None, true, _) => Some(Rule::SignedIn),
            (None, false, [nothing]) => nothing.is_empty().then_some(Rule::Public),
            _ => None,
        }
    }

    /// Checks that a visitor may make the call, in `app` if the path names one.
    fn check(&self, visitor: &Visitor, app: Option<&str>) -> Result<(), Problem> {
        let (permission, hub_wide) = match self {
            Rule::Public => return Ok(()),
            Rule::SignedIn
            | Rule::Needs {
                or_signed_in: true, ..
            } if visitor.signed_in().is_some() => {
                return Ok(());
            }
            Rule::SignedIn => {
                return Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "this needs a user who is signed in on the hub's own pages",
                ));
            }
            Rule::Needs {
                permission,
                hub_wide,
                ..
            } => (permission, *hub_wide),
        };
        if visitor.is_anonymous() {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "this needs a token, in one header `Authorization: Bearer sk_…`, or a user who \
                 is signed in on the hub's own pages",
            ));
        }
        let grant = visitor.grant();
        grant.check(permission, app)?;
        if hub_wide {
            grant.check_global(permission)?;
        }
        Ok(())
    }
}

/// The rule of each call, by path and method, from the OpenAPI document.
pub struct Rules(BTreeMap<String, BTreeMap<String, Rule>>);

impl Rules {
    /// Collects the declared rules. A call without a valid declaration has no entry and is refused.
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let rules = paths.map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            let rules = methods.filter_map(|(method, call)| {
                Some((method.to_ascii_uppercase(), Rule::of(&call["security"])?))
            });
            (path.clone(), rules.collect())
        });
        Self(rules.collect())
    }
}

/// Passes a request on if its sender may make the call. Handlers reuse the [`Visitor`] found here.
pub async fn guard(
    State((api, rules)): State<(Api, Arc<Rules>)>,
    matched: MatchedPath,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    if matched.as_str() == UNKNOWN {
        return next.run(request).await;
    }
    let none = BTreeMap::new();
    let methods = rules.0.get(matched.as_str()).unwrap_or(&none);
    // HEAD follows the rule of GET.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    // The room `test` of app `live` shares its path with the call that tests a camera.
    let room_named_test = matched.as_str() == CAMERA_TEST && !methods.contains_key(method);
    let rule = match room_named_test {
        true => rules.0.get(CAMERA).and_then(|one| one.get(method)),
        false => methods.get(method),
    };
    let Some(rule) = rule else {
        return not_allowed(methods.keys().map(String::as_str).collect());
    };
    let Ok(params) = params else {
        return invalid_utf8().into_response();
    };
    if *rule == Rule::Public {
        return uncached(next.run(request).await);
    }
    let of_series = matched.as_str().starts_with(SERIES);
    let in_path = params.iter().find_map(|(name, value)| match name {
        "app" => Some(value),
        // A camera id contains its app.
        "camera" => Some(split_id(value).0),
        _ => None,
    });
    let app = in_path.or((room_named_test || of_series).then_some(DEFAULT_APP));
    let (mut parts, body) = request.into_parts();
    let allowed = match Visitor::from_request_parts(&mut parts, &api).await {
        Ok(visitor) => rule.check(&visitor, app),
        Err(problem) => Err(problem),
    };
    match allowed {
        Ok(()) => uncached(next.run(Request::from_parts(parts, body)).await),
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

/// Forbids caching: responses depend on the sender.
fn uncached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn not_allowed(methods: Vec<&str>) -> Response {
    let methods = methods.join(", ");
    let message = format!("this URL accepts only {methods}");
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    if let Ok(methods) = HeaderValue::try_from(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_without_a_declaration_has_no_rule() {
        let mut document = crate::api::openapi();
        let call = |document: &OpenApi| {
            let rules = Rules::of(document);
            rules.0["/api/v1/apps"].get("GET").cloned()
        };
        let needs = Rule::Needs {
            permission: "app:read".to_owned(),
            hub_wide: false,
            or_signed_in: false,
        };
        assert_eq!(call(&document), Some(needs));
        let path = document.paths.paths.get_mut("/api/v1/apps");
        let operation = path.and_then(|path| path.get.as_mut()).expect("a call");
        operation.security = None;
        assert_eq!(call(&document), None);
        for nothing in [
            json!(null),
            json!([]),
            json!([{}, {}]),
            json!([{ "other": [] }]),
        ] {
            assert_eq!(Rule::of(&nothing), None, "{nothing}");
        }
    }
}
