//! What a request gets instead of what it asked for.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A status and the reason for it.
#[derive(Debug, Clone)]
pub struct Refusal {
    status: StatusCode,
    reason: String,
}

/// When to come again, in seconds: batches take far less.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Refusal {
    /// A refusal of a status.
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, reason }
    }

    /// The request is not what the service understands.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// There is more of something than is taken.
    pub fn too_large(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    /// The body is no picture by its type.
    pub fn media_type(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
    }

    /// The body is no picture by its contents.
    pub fn unprocessable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
    }

    /// The service has too much to do.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    /// The service failed.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    }

    /// Whether the client was given its time already.
    pub fn is_of_time(&self) -> bool {
        self.status == StatusCode::REQUEST_TIMEOUT
    }

    /// The same of a picture among several.
    pub fn of(self, picture: &str) -> Self {
        let reason = format!("{picture}: {}", self.reason);
        Self { reason, ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, reason } = self;
        let body = json!({"error": {"status": status.as_u16(), "message": reason}});
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body may still come.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
