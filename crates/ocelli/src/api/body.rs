//! The JSON that a request brings.

use crate::answer::Problem;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

/// A request's body, read as `T`; a fault names the field.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be JSON, with the header `Content-Type: application/json`",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status();
            let message = match status {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("the body is longer than {} bytes", super::BODY_LIMIT)
                }
                _ => error.body_text(),
            };
            Problem::new(status, message)
        })?;
        read(&bytes).map(Self)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let refuse = |message: String| Problem::new(StatusCode::BAD_REQUEST, message);
    // serde would also take a list of the fields' values.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(refuse("the body has to be a JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let fault = error.into_inner();
        refuse(match path.as_str() {
            "." | "?" => format!("the body: {fault}"),
            path => format!("{path} in the body: {fault}"),
        })
    })?;
    json.end()
        .map_err(|fault| refuse(format!("the body: {fault}")))?;
    Ok(value)
}
