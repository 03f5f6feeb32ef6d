//! HTTP errors as the contract has them: status, code, sentence, when to try again.
//! Not here: the table of codes (`moim-protocol`).

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use moim_core::Refusal;
use moim_protocol::{ErrorAnswer, ErrorCode, Language};

use crate::budget::Budget;

/// Answers up to here are not counted: what a connection holds anyway.
const SMALL_BYTES: usize = 64 * 1024;
/// Seconds that a client of a full or draining node waits.
const RETRY_SECONDS: u64 = 5;

/// An error on its way to an HTTP client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    code: ErrorCode,
    language: Language,
    retry_after_ms: Option<u64>,
}

impl Fault {
    pub(crate) fn new(code: ErrorCode, language: Language) -> Self {
        use ErrorCode::{AddressFull, Draining, ServerFull, Unavailable};
        let waits = matches!(code, ServerFull | AddressFull | Draining | Unavailable);
        Self { code, language, retry_after_ms: waits.then_some(RETRY_SECONDS * 1000) }
    }

    pub(crate) fn of(refusal: Refusal, language: Language) -> Self {
        Self { code: refusal.code, language, retry_after_ms: refusal.retry_after_ms }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = ErrorAnswer::new(self.code, self.language, self.retry_after_ms).to_json();
        let status =
            StatusCode::from_u16(self.code.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, body);
        if let Some(after) = self.retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1000)));
        }
        response
    }
}

/// A JSON answer that nobody may cache: every one of them can be different the next moment.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// A JSON answer that may be large: its bytes are taken from the node's budget until the client has them.
pub(crate) fn large_json(budget: &Arc<Budget>, body: Vec<u8>) -> Result<Response, ErrorCode> {
    if body.len() <= SMALL_BYTES {
        return Ok(json(StatusCode::OK, body));
    }
    let guard = budget.hold(body.len()).ok_or(ErrorCode::Overloaded)?;
    let mut response = json(StatusCode::OK, Vec::new());
    // hyper asks for the end of the stream only when it has written what came before.
    let parts = stream::unfold((Some(Bytes::from(body)), guard), |(body, guard)| async move {
        body.map(|body| (Ok::<_, Infallible>(body), (None, guard)))
    });
    *response.body_mut() = Body::from_stream(parts);
    Ok(response)
}

/// The reader's language.
pub(crate) fn language_of(headers: &HeaderMap) -> Language {
    let header = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::from_accept_language(header.unwrap_or(""))
}
