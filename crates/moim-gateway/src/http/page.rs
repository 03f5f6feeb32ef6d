//! The page, from the binary: its files, their types, and the rules a browser must hold it to.
//! Not here: the page itself (`web`), the client module it uses (`clients/js`), compressing them (`build.rs`).

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use moim_protocol::ErrorCode;

use super::{
    Answer,
    answer::{Fault, language_of},
};
use crate::shared::Shared;

/// A file of the page as it is in the binary: compressed when that was built.
struct Asset {
    /// Its path in an address, without the first slash; the page itself has none.
    path: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

// `ASSETS`, in the order of their paths.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Nothing from elsewhere, nothing inline: a message that is markup has nowhere to run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<Arc<Shared>> {
    let served = || get(async |request| serve(&request));
    Router::new().route("/", served()).route("/assets/{*file}", served()).route("/client/{*file}", served())
}

fn serve(request: &Request) -> Answer {
    let path = request.uri().path().trim_start_matches('/');
    let found = ASSETS.binary_search_by_key(&path, |asset| asset.path).ok().map(|index| &ASSETS[index]);
    let (Some(asset), Some(kind)) = (found, kind_of(path)) else {
        return Fault::new(ErrorCode::NotFound, language_of(request.headers())).into_response();
    };
    let (encoding, bytes) = asset.for_reader(request.headers());
    let tag = format!("\"{}-{}\"", asset.tag, encoding.unwrap_or("plain"));
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(Bytes::from_static(bytes)))
    };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, kind),
        // Asked for again each time, so that a new version is never mixed with an old one.
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-encoding"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Of what else is served here nothing is a document of its own, unless somebody opens the icon.
    if asset.path.is_empty() || asset.path.ends_with(".svg") {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if let Some(encoding) = encoding.filter(|_| !known) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

impl Asset {
    /// The smallest form that the reader takes, and its name.
    fn for_reader(&self, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
        let forms = [(Some("br"), self.brotli), (Some("gzip"), self.gzip), (None, self.plain)];
        let fits = |name: Option<&str>| name.is_none_or(|name| takes(headers, name));
        let fitting = forms.into_iter().filter(|(name, _)| fits(*name));
        fitting.min_by_key(|(_, bytes)| bytes.len()).unwrap_or((None, self.plain))
    }
}

/// Whether `Accept-Encoding` names it, and not with a weight of nothing. `*` is not counted: no browser sends it.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|choice| {
        let (name, weight) = choice.split_once(';').unwrap_or((choice, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight.is_none_or(|weight| weight > 0.0)
    })
}

fn kind_of(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("text/html; charset=utf-8");
    }
    Some(match path.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// What a first visit may cost.
    const FIRST_LOAD_BYTES_MAX: usize = 60 * 1024;

    fn asked_with(accepted: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
    }

    #[test]
    fn every_asset_has_a_type_and_its_place() {
        for asset in ASSETS {
            assert!(kind_of(asset.path).is_some(), "{} would not be served: see kind_of", asset.path);
        }
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        assert_eq!(ASSETS[0].path, "", "the page itself");
    }

    #[test]
    fn a_first_visit_is_small_in_either_compression() {
        for accepted in ["br", "gzip"] {
            let headers = asked_with(accepted);
            let bytes: usize = ASSETS.iter().map(|asset| asset.for_reader(&headers).1.len()).sum();
            println!("{accepted}: {bytes} bytes in {} files", ASSETS.len());
            assert!(bytes < FIRST_LOAD_BYTES_MAX, "{bytes} bytes as {accepted}");
        }
    }

    #[test]
    fn what_was_compressed_is_the_file() {
        for asset in ASSETS {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip).read_to_end(&mut text).unwrap();
            assert_eq!(text, asset.plain, "{}", asset.path);
            text.clear();
            brotli::Decompressor::new(asset.brotli, 4096).read_to_end(&mut text).unwrap();
            assert_eq!(text, asset.plain, "{}", asset.path);
        }
    }

    #[test]
    fn a_reader_gets_only_what_it_takes() {
        let named = |accepted| ASSETS[0].for_reader(&asked_with(accepted)).0;
        assert_eq!(named("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(named("gzip;q=1.0, BR;q=0"), Some("gzip"));
        assert_eq!(named("deflate, brx"), None);
        assert_eq!(ASSETS[0].for_reader(&HeaderMap::new()).0, None);
    }

    /// A module that is found only when another one has come costs a round trip each.
    #[test]
    fn the_page_names_every_module_it_needs() {
        let page = std::str::from_utf8(ASSETS[0].plain).unwrap();
        for asset in ASSETS.iter().filter(|asset| asset.path.ends_with(".js")) {
            let named = page.contains(&format!("rel=\"modulepreload\" href=\"/{}\"", asset.path));
            assert!(named || asset.path == "assets/page.js", "{}", asset.path);
        }
    }
}
