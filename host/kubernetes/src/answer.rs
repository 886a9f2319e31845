//! An answer, as far as it is read: bounded, and an error in few words.

use crate::words;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use nameplate_evidence::ApiError;
use nameplate_words::grouped;
use serde::Deserialize;
use std::error::Error;

/// Most bytes that are read of one answer. The largest object that Kubernetes
/// stores has 1.5 MiB.
pub const MAX_ANSWER_BYTES: usize = 2 << 20;

/// `Status` of `meta/v1`, as far as it is repeated.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
}

/// The body of a success. Of anything else, the message of the `Status` in it,
/// without what is part of `secret`.
pub(crate) async fn read<B>(answer: Response<B>, secret: &str) -> Result<Bytes, ApiError>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await;
    let body = body
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                ApiError::Malformed {
                    what: format!("more than {} bytes", grouped(MAX_ANSWER_BYTES)),
                }
            } else {
                ApiError::Unreachable {
                    what: format!("the answer broke off: {}", words::chain(&*error)),
                }
            }
        })?
        .to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let message = serde_json::from_slice::<Words>(&body).map_or_else(
        |_| String::new(),
        |words| words::clean(&words.message, secret),
    );
    let message = if message.is_empty() {
        status.canonical_reason().unwrap_or("no reason").to_owned()
    } else {
        message
    };
    Err(match status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized { message },
        StatusCode::FORBIDDEN => ApiError::Forbidden { message },
        StatusCode::NOT_FOUND => ApiError::NotFound { message },
        _ => ApiError::Refused {
            status: status.as_u16(),
            message,
        },
    })
}

/// Reads a body as JSON; what it holds is not repeated.
pub(crate) fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Malformed {
        what: format!(
            "not the JSON that was asked for, at line {} column {}",
            error.line(),
            error.column()
        ),
    })
}
