//! HTTP responses: the success envelope and the error body, both defined here only.

use crate::auth::Denied;
use crate::catalog::ChangeError;
use crate::store::StoreError;
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use ocelli_core::text::shown;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use utoipa::ToSchema;

/// `{"data": …, "error": null}`.
#[derive(Serialize, ToSchema)]
pub struct Answer<T> {
    /// The result of the request.
    data: T,
    /// Always null; errors use another body.
    #[schema(value_type = Option<String>)]
    error: Option<()>,
}

impl<T> Answer<T> {
    /// A successful response.
    pub fn new(data: T) -> Self {
        Self { data, error: None }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// An error response of the HTTP API: `{"statusCode","message","error"}`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
    /// The value of `Retry-After`.
    after: Option<Duration>,
}

impl Problem {
    /// An error with a status. `message` states what was wrong and what is expected. It may quote
    /// the request: control characters and secrets in it are masked.
    pub fn new(status: StatusCode, message: impl AsRef<str>) -> Self {
        Self {
            status,
            message: shown(message.as_ref()),
            after: None,
        }
    }

    /// 429 Too Many Requests, with the time until the next attempt.
    pub fn too_many(what: &str, after: Duration) -> Self {
        let seconds = seconds(after);
        let message = format!("too many {what}; try again in {seconds} s");
        Self {
            after: Some(after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The error message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// 404 Not Found.
    pub fn not_found(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// The duration in whole seconds, rounded up, at least 1.
fn seconds(time: Duration) -> u64 {
    time.as_millis()
        .div_ceil(1000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// The JSON body of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// The HTTP status code.
    status_code: u16,
    /// What was wrong, and what is expected.
    message: String,
    /// The reason phrase of the status.
    error: &'static str,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Unusable(_) => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Conflict(_) => StatusCode::CONFLICT,
            StoreError::Missing(_) => StatusCode::NOT_FOUND,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid(message) => Self::new(StatusCode::BAD_REQUEST, message),
            ChangeError::Denied(denied) => denied.into(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for Problem {
    fn from(Denied(message): Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            status_code: self.status.as_u16(),
            message: self.message,
            error: self.status.canonical_reason().unwrap_or("Error"),
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(after) = self.after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds(after).into());
        }
        response
    }
}

/// Query parameters. A parameter that does not parse is rejected with a [`Problem`].
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())),
        }
    }
}

/// Path parameters. A path that does not decode is rejected with a [`Problem`].
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(named)| Self(named))
            .map_err(|_| invalid_utf8())
    }
}

/// The error for a URL that is not valid UTF-8.
pub fn invalid_utf8() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "the URL is not valid UTF-8")
}
