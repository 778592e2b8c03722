//! Long lists, handed out in parts.

use crate::answer::Problem;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How much of a list is given when nobody says.
const USUAL: usize = 50;
/// How much of a list is given at most.
const MOST: usize = 500;

/// Which part of a list.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// How many; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// How many to pass over.
    #[param(minimum = 0)]
    offset: Option<usize>,
}

/// A part of a list: `{"data": […], "error": null, "total": n}`.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    data: Vec<T>,
    /// Always null: a fault has another form.
    #[schema(value_type = Option<String>)]
    error: Option<()>,
    /// How many there are in all.
    total: usize,
}

impl Window {
    /// How many.
    ///
    /// # Errors
    /// 400 for more than may be asked for.
    pub fn limit(self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(USUAL);
        if (1..=MOST).contains(&limit) {
            return Ok(limit);
        }
        let message = format!("limit in the address: it takes 1 to {MOST}");
        Err(Problem::new(StatusCode::BAD_REQUEST, message))
    }

    /// How many to pass over.
    pub fn offset(self) -> usize {
        self.offset.unwrap_or(0)
    }

    /// This part of a list.
    ///
    /// # Errors
    /// 400 for more than may be asked for.
    pub fn of<T>(self, all: Vec<T>) -> Result<Page<T>, Problem> {
        let (limit, total) = (self.limit()?, all.len());
        let rest = all.into_iter().skip(self.offset());
        Ok(Page::new(rest.take(limit).collect(), total))
    }
}

impl<T> Page<T> {
    /// A part of a list that has so many in all.
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
