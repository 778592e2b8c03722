//! Answers of the HTTP interface: the envelope of success, the form of errors,
//! and the plain refusal of an upgrade, each made in this one place.

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
    /// What was asked for.
    data: T,
    /// Always null: a fault has another form.
    #[schema(value_type = Option<String>)]
    error: Option<()>,
}

impl<T> Answer<T> {
    /// An answer of success.
    pub fn new(data: T) -> Self {
        Self { data, error: None }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// An error of the HTTP interface, answered as `{"statusCode","message","error"}`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
    /// When it may go better.
    after: Option<Duration>,
}

impl Problem {
    /// An error with a status; `message` says what was wrong and what would be right. It may
    /// repeat the request: control characters and secrets in it are not passed on.
    pub fn new(status: StatusCode, message: impl AsRef<str>) -> Self {
        Self {
            status,
            message: shown(message.as_ref()),
            after: None,
        }
    }

    /// Too many attempts; says when there may be another.
    pub fn too_many(what: &str, after: Duration) -> Self {
        let seconds = seconds(after);
        let message = format!("too many {what}; try again in {seconds} s");
        Self {
            after: Some(after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Nothing of that name.
    pub fn not_found(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// Whole seconds, and at least one.
fn seconds(time: Duration) -> u64 {
    time.as_millis()
        .div_ceil(1000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// How an error reads.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// The status again.
    status_code: u16,
    /// What was wrong, and what would be right.
    message: String,
    /// The status in words.
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

/// The parameters of an address; what does not fit is answered as a [`Problem`].
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

/// What an address names; what can't be read is answered as a [`Problem`].
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(named)| Self(named)).map_err(|_| no_text())
    }
}

/// What is said of an address that is no text.
pub fn no_text() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "the address holds what is no UTF-8",
    )
}
