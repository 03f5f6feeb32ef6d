//! The page, from the binary: its files, their types, and the rules a browser must hold it to.
//! Not here: the page itself (`web`), the client module it uses (`clients/js`).

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
            REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use moim_protocol::ErrorCode;
use rust_embed::{Embed, EmbeddedFile};

use super::{
    Answer,
    answer::{Fault, language_of},
};
use crate::shared::Shared;

#[derive(Embed)]
#[folder = "web"]
struct Web;

#[derive(Embed)]
#[folder = "../../clients/js/src"]
struct Client;

/// Nothing from elsewhere, nothing inline: a message that is markup has nowhere to run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(async |request| serve(&request, Web::get("index.html"), "index.html")))
        .route("/assets/{*file}", get(async |request| serve_under(&request, "/assets/", Web::get)))
        .route("/client/{*file}", get(async |request| serve_under(&request, "/client/", Client::get)))
}

fn serve_under(request: &Request, prefix: &str, find: fn(&str) -> Option<EmbeddedFile>) -> Answer {
    let name = request.uri().path().strip_prefix(prefix).unwrap_or("");
    serve(request, find(name), name)
}

fn serve(request: &Request, file: Option<EmbeddedFile>, name: &str) -> Answer {
    let (Some(file), Some(kind)) = (file, kind_of(name)) else {
        return Fault::new(ErrorCode::NotFound, language_of(request.headers())).into_response();
    };
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        }))
    };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, kind),
        // Asked for again each time, so that a new version is never mixed with an old one.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_has_a_type() {
        for name in Web::iter().chain(Client::iter()) {
            assert!(
                kind_of(&name).is_some(),
                "{name} would not be served: give its ending a type in kind_of"
            );
        }
    }
}
