//! The API documentation, generated from the handlers: `/api/v1/openapi.json` for programs and
//! `/api/v1/docs` for people.

use super::{cameras, tokens};
use crate::answer::ProblemBody;
use crate::pages::{POLICY, error_page};
use axum::Extension;
use axum::response::{Html, IntoResponse};
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use ocelli_net::outgoing::Shared;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

/// The document without any handlers.
pub fn base_document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Ocelli")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Success is {\"data\": …, \"error\": null}; an error is {\"statusCode\", \"message\", \
             \"error\"}: 401 without a valid token or a signed-in user, 403 without the \
             permission, 429 after too many attempts, 503 if the store can't be used. An \
             invalid token is always answered with 401.",
        ));
    let mut document = OpenApiBuilder::new().info(info.build()).build();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("sk_…")
        .description(Some("A token, created with `ocelli token create`"));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    let session = ApiKeyValue::with_description(
        "ocelli_session",
        "The cookie of a signed-in user, accepted only from the hub's own pages. The real name \
         has a suffix that distinguishes hubs on one host. With a role that grants the \
         permission, the cookie works wherever a token does.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let problem = (ProblemBody::name().into_owned(), ProblemBody::schema());
    components.schemas.extend([problem]);
    document
}

/// Builds the document from the handlers and adds the common parts.
fn document(handlers: OpenApi) -> Value {
    let mut document = serde_json::to_value(handlers).unwrap_or_default();
    tokens::describe(&mut document["components"]["schemas"]["NewToken"]);
    cameras::describe(&mut document["components"]["schemas"]["Jpeg"]);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, calls) in paths {
        for (_, call) in calls.as_object_mut().into_iter().flatten() {
            add_error_responses(call);
        }
    }
    document
}

/// Adds the errors common to all calls that need a token or take input.
fn add_error_responses(call: &mut Value) {
    let mut faults = Vec::new();
    let needs = call["security"].as_array().into_iter().flatten();
    if needs
        .clone()
        .any(|one| one.get("token").is_some() || one.get("session").is_some())
    {
        faults.push(("401", "There is no valid token and no signed-in user"));
        faults.push(("403", "Neither the token nor a role grants the permission"));
        faults.push(("429", "Too many attempts"));
        faults.push(("503", "The store can't be used"));
    }
    if call.get("parameters").is_some() || call.get("requestBody").is_some() {
        faults.push(("400", "The URL or the body is invalid"));
    }
    if call.get("requestBody").is_some() {
        faults.push(("413", "The body is too long"));
        faults.push(("415", "The Content-Type is not JSON"));
    }
    for (status, description) in faults {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        call["responses"][status] = json!({
            "description": description,
            "content": { "application/json": { "schema": schema } },
        });
    }
}

/// The rendered documents, created on first use and shared by all responses.
pub struct Documents {
    handlers: fn() -> OpenApi,
    json: OnceLock<Bytes>,
    page: OnceLock<Bytes>,
}

impl Documents {
    /// Documents for these handlers.
    pub fn new(handlers: fn() -> OpenApi) -> Self {
        Self {
            handlers,
            json: OnceLock::new(),
            page: OnceLock::new(),
        }
    }
}

/// Returns the OpenAPI 3.1 document of this API.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "hub", operation_id = "openapi", security(()),
    responses((status = 200, description = "The document", body = Object)))]
pub async fn json(Extension(documents): Extension<Arc<Documents>>) -> impl IntoResponse {
    let write = || document((documents.handlers)()).to_string().into();
    let text = documents.json.get_or_init(write).clone();
    (
        Extension(Shared),
        [(CONTENT_TYPE, "application/json")],
        text,
    )
}

/// Returns the API documentation as a page.
#[utoipa::path(get, path = "/api/v1/docs", tag = "hub", operation_id = "docs", security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub async fn page(Extension(documents): Extension<Arc<Documents>>) -> impl IntoResponse {
    let write = || write_page(&document((documents.handlers)())).into();
    let text = documents.page.get_or_init(write).clone();
    let headers = [(CONTENT_SECURITY_POLICY, POLICY)];
    (Extension(Shared), headers, Html(text))
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;\
     padding:0 1rem}:root{color-scheme:light dark}section{border-top:1px solid #8886;padding:.5rem 0}\
     h2{font-size:1.1rem}code{overflow-wrap:anywhere}table{border-collapse:collapse}\
     td{padding:.1rem 1rem .1rem 0;vertical-align:top}";

fn write_page(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>HTTP API · Ocelli</title>\
         <style>{STYLE}</style><h1>HTTP API</h1><p>{}</p>\
         <p>Send the token in the header <code>Authorization: Bearer sk_…</code>. \
         For programs: <a href=\"openapi.json\">openapi.json</a>.</p>",
        escaped(&document["info"]["description"])
    );
    for (path, calls) in document["paths"].as_object().into_iter().flatten() {
        for (method, call) in calls.as_object().into_iter().flatten() {
            let needs = match &call["security"][0]["token"][0] {
                Value::String(permission) => format!("Needs <code>{permission}</code>."),
                _ if call["security"][0].get("session").is_some() => {
                    "Needs a signed-in user.".to_owned()
                }
                _ => "Public.".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = write!(
                page,
                "<section><h2><code>{} {path}</code></h2><p>{}</p><p>{needs}</p>",
                method.to_ascii_uppercase(),
                escaped(&call["summary"]),
            );
            let body = &call["requestBody"]["content"]["application/json"]["schema"];
            write_fields(&mut page, document, body);
            page.push_str("<table>");
            for (status, answer) in call["responses"].as_object().into_iter().flatten() {
                let description = escaped(&answer["description"]);
                let _ = write!(page, "<tr><td>{status}<td>{description}");
            }
            page.push_str("</table></section>");
        }
    }
    page
}

/// Writes the fields of a request body whose schema is a reference.
fn write_fields(page: &mut String, document: &Value, body: &Value) {
    let Some(name) = body["$ref"].as_str().and_then(|at| at.strip_prefix('#')) else {
        return;
    };
    let Some(schema) = document.pointer(name) else {
        return;
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    page.push_str("<table>");
    for (field, about) in schema["properties"].as_object().into_iter().flatten() {
        let optional = match required.iter().any(|name| name == field) {
            true => "",
            false => ", optional",
        };
        let description = escaped(&about["description"]);
        let _ = write!(
            page,
            "<tr><td><code>{field}</code>{optional}<td>{description}"
        );
    }
    page.push_str("</table>");
}

fn escaped(text: &Value) -> String {
    error_page::escape(text.as_str().unwrap_or_default())
}
