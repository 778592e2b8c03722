//! Answers of the HTTP interface: the envelope of success, the form of errors,
//! and the plain refusal of an upgrade, each made in this one place.

use crate::store::StoreError;
use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde::de::DeserializeOwned;
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

/// `{"data": […], "total": …, "limit": …, "offset": …, "error": null}`: some of a list.
#[derive(Serialize, ToSchema)]
pub struct Listed<T> {
    /// Those that were asked for.
    data: Vec<T>,
    /// How many there are.
    total: u64,
    /// How many are told at most.
    limit: u32,
    /// How many were passed over.
    offset: u32,
    /// Always null: a fault has another form.
    #[schema(value_type = Option<String>)]
    error: Option<()>,
}

impl<T> Listed<T> {
    /// Those of `page`, out of `total`.
    pub fn new(data: Vec<T>, total: u64, page: Page) -> Self {
        Self {
            data,
            total,
            limit: page.limit(),
            offset: page.offset,
            error: None,
        }
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Page {
    limit: Option<u32>,
    /// How many to pass over.
    #[serde(default)]
    pub offset: u32,
}

impl Page {
    /// How many are told when nobody says otherwise, and at most.
    const LIMITS: (u32, u32) = (50, 500);

    /// How many to tell.
    pub fn limit(self) -> u32 {
        let (usual, most) = Self::LIMITS;
        self.limit.unwrap_or(usual).clamp(1, most)
    }
}

/// An error of the HTTP interface, answered as `{"statusCode","message","error"}`.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    /// An error with a status; `message` says what was wrong and what would be right.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Nothing of that name.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            status_code: self.status.as_u16(),
            message: self.message,
            error: self.status.canonical_reason().unwrap_or("Error"),
        };
        (self.status, Json(body)).into_response()
    }
}

/// The parameters of an address; what does not fit is answered as a [`Problem`].
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())),
        }
    }
}

/// A refusal in plain text, for clients that show a person what they got.
pub fn plain(status: StatusCode, message: &str) -> Response {
    let mut response = (status, format!("{message}\n")).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
