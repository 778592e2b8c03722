//! Pagination of long lists.

use crate::answer::Problem;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The default page size.
const DEFAULT_LIMIT: usize = 50;
/// The maximum page size.
const MAX_LIMIT: usize = 500;

/// The requested page.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// Maximum number of items; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Number of items to skip.
    #[param(minimum = 0)]
    offset: Option<usize>,
}

/// A page of a list: `{"data": […], "error": null, "total": n}`.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    data: Vec<T>,
    /// Always null; errors use another body.
    #[schema(value_type = Option<String>)]
    error: Option<()>,
    /// The total number of items.
    total: usize,
}

impl Window {
    /// The maximum number of items.
    ///
    /// # Errors
    /// 400 if the limit is out of range.
    pub fn limit(self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(limit);
        }
        let message = format!("limit in the URL: it must be 1 to {MAX_LIMIT}");
        Err(Problem::new(StatusCode::BAD_REQUEST, message))
    }

    /// The number of items to skip.
    pub fn offset(self) -> usize {
        self.offset.unwrap_or(0)
    }

    /// Returns this page of a list.
    ///
    /// # Errors
    /// 400 if the limit is out of range.
    pub fn of<T>(self, all: Vec<T>) -> Result<Page<T>, Problem> {
        let (limit, total) = (self.limit()?, all.len());
        let rest = all.into_iter().skip(self.offset());
        Ok(Page::new(rest.take(limit).collect(), total))
    }
}

impl<T> Page<T> {
    /// A page of a list that has `total` items.
    pub fn new(data: Vec<T>, total: usize) -> Self {
        Self {
            data,
            error: None,
            total,
        }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
