//! Extracts request bodies: JSON, or raw bytes for line-based text.

use crate::answer::Problem;
use crate::api::state::Api;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ocelli_media::sources::redact;
use ocelli_net::counts::Refusal;
use ocelli_net::limits::Limits;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// A JSON request body, deserialized as `T`. An error names the field.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be JSON, with the header `Content-Type: application/json`",
            ));
        }
        let RawBody(bytes) = RawBody::from_request(request, api).await?;
        read(&bytes).map(Self)
    }
}

/// The raw request body, for text that is read line by line.
pub struct RawBody(pub Bytes);

impl FromRequest<Api> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let Limits {
            body_size,
            body_timeout,
            ..
        } = api.server_state.limits;
        let whole = timeout(body_timeout, Bytes::from_request(request, api)).await;
        let whole = whole.map_err(|_| {
            api.server_state.counts.refuse(Refusal::BodyTimeout);
            let message = format!("the body did not arrive completely within {body_timeout:?}");
            Problem::new(StatusCode::REQUEST_TIMEOUT, message)
        })?;
        let bytes = whole.map_err(|error| {
            let status = error.status();
            let message = match status {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    api.server_state.counts.refuse(Refusal::BodySize);
                    format!("the body is longer than {body_size} bytes")
                }
                _ => error.body_text(),
            };
            Problem::new(status, message)
        })?;
        Ok(Self(bytes))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let refuse = |message: String| Problem::new(StatusCode::BAD_REQUEST, message);
    // serde also accepts an array of the fields' values; the API does not.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(refuse("the body must be a JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let fault = without_secrets(&path, &error.into_inner().to_string());
        refuse(match path.as_str() {
            "." | "?" => format!("the body: {fault}"),
            path => format!("{path} in the body: {fault}"),
        })
    })?;
    json.end()
        .map_err(|fault| refuse(format!("the body: {fault}")))?;
    Ok(value)
}

/// Fields whose values are never repeated in a response.
const SECRET_FIELDS: [&str; 5] = ["password", "old", "new", "code", "token"];

/// Removes secrets from serde's message: the value of a secret field, and the credentials in a
/// URL.
fn without_secrets(path: &str, fault: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or_default();
    match fault.split_once(", expected ") {
        Some((_, expected)) if SECRET_FIELDS.contains(&field) => format!("expected {expected}"),
        _ => redact(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_contain_no_secrets() {
        for (path, fault, text) in [
            (
                "password",
                "invalid type: integer `4711`, expected a string",
                "expected a string",
            ),
            (
                "roles[0].password",
                "invalid type: string \"hush\", expected a map",
                "expected a map",
            ),
            (
                "jpeg",
                "invalid type: string \"rtsp://u:hu sh@h/\", expected struct Jpeg",
                "invalid type: string \"rtsp://***@h/\", expected struct Jpeg",
            ),
            ("name", "missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(without_secrets(path, fault), text);
        }
    }
}
