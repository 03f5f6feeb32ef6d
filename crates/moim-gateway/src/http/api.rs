//! The HTTP interface: history, long polling, sending, a room's state; and the founding article's two examples.
//! Not here: pages (`pages`), publishing (`publisher`), the shape of bodies (`moim-protocol`).

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use moim_bus::Receipt;
use moim_core::Refusal;
use moim_protocol::{
    ClientId, ErrorCode, HistoryAnswer, RoomAnswer, RoomId, SendAnswer, SendRequest, UserName,
    decode_segment, limits, parse_seq, query_pairs,
};
use tokio::time::{Instant as Deadline, timeout, timeout_at};

use super::answer::{Fault, json, language_of, large_json};
use crate::{
    accept::Peer,
    pages::{Page, PageWanted},
    publisher::{Saying, refusal_of},
    shared::Shared,
};

/// How long the body of a send may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

struct HistoryQuery {
    wanted: PageWanted,
    limit: usize,
    wait: Duration,
}

impl HistoryQuery {
    fn parse(query: &str) -> Result<Self, ErrorCode> {
        let (mut before, mut after) = (None, None);
        let (mut limit, mut wait) = (limits::PAGE_LIMIT_DEFAULT, 0);
        for (key, value) in query_pairs(query) {
            match &*key {
                "before" => before = Some(parse_seq(&value)?),
                "after" => after = Some(parse_seq(&value)?),
                "limit" => limit = value.parse().map_err(|_| ErrorCode::LimitInvalid)?,
                "wait" => wait = value.parse().map_err(|_| ErrorCode::WaitInvalid)?,
                _ => {}
            }
        }
        if !(1..=limits::PAGE_LIMIT_MAX).contains(&limit) {
            return Err(ErrorCode::LimitInvalid);
        }
        let wanted = match (before, after) {
            (Some(_), Some(_)) => return Err(ErrorCode::CursorInvalid),
            (before, None) => PageWanted::Before(before),
            (None, Some(after)) => PageWanted::After(after),
        };
        if wait > limits::POLL_WAIT_SECONDS_MAX || (wait > 0 && after.is_none()) {
            return Err(ErrorCode::WaitInvalid);
        }
        Ok(Self { wanted, limit, wait: Duration::from_secs(wait) })
    }
}

/// `GET /api/v1/rooms/{room}/messages`.
pub(super) async fn history(State(shared): State<Arc<Shared>>, request: Parts) -> Response {
    answer(&shared, &request, history_of(&shared, &request, room_in_path).await)
}

/// `GET /api/messages`.
pub(super) async fn article_history(State(shared): State<Arc<Shared>>, request: Parts) -> Response {
    answer(&shared, &request, history_of(&shared, &request, room_in_query).await)
}

/// `GET /api/v1/rooms/{room}`.
pub(super) async fn room(State(shared): State<Arc<Shared>>, request: Parts) -> Response {
    answer(&shared, &request, room_of(&shared, &request).await)
}

/// `POST /api/v1/rooms/{room}/messages`.
pub(super) async fn send(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    send_to(&shared, request, room_in_path).await
}

/// `POST /api/messages`.
pub(super) async fn article_send(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    send_to(&shared, request, room_in_query).await
}

type RoomOf = fn(&Shared, &Parts) -> Result<RoomId, ErrorCode>;

fn room_in_path(shared: &Shared, request: &Parts) -> Result<RoomId, ErrorCode> {
    let segment = request.uri.path().split('/').nth(4).unwrap_or("");
    named(shared, &decode_segment(segment)?)
}

fn room_in_query(shared: &Shared, request: &Parts) -> Result<RoomId, ErrorCode> {
    let room = query_pairs(request.uri.query().unwrap_or("")).filter(|(key, _)| key == "room").last();
    named(shared, room.as_ref().map_or("", |(_, value)| value))
}

fn named(shared: &Shared, name: &str) -> Result<RoomId, ErrorCode> {
    RoomId::from_client(name, shared.config.limits.room_name_chars_max).map_err(|_| ErrorCode::RoomInvalid)
}

fn answer(shared: &Shared, request: &Parts, result: Result<Vec<u8>, Refusal>) -> Response {
    let result = result.and_then(|body| large_json(&shared.large_answers, body).map_err(busy));
    match result {
        Ok(response) => response,
        Err(refusal) => Fault::of(refusal, language_of(&request.headers)).into_response(),
    }
}

fn busy(code: ErrorCode) -> Refusal {
    Refusal { code, retry_after_ms: Some(1000) }
}

fn refused(code: ErrorCode) -> Refusal {
    Refusal { code, retry_after_ms: None }
}

async fn room_of(shared: &Shared, request: &Parts) -> Result<Vec<u8>, Refusal> {
    let room = room_in_path(shared, request).map_err(refused)?;
    let head = shared.bus.ring(&room, 0).await.map_err(|error| refusal_of(&error))?.head;
    let mut here = shared.bus.who(&room).await.map_err(|error| refusal_of(&error))?;
    here.names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let all_known = here.names.len() as u64 == here.count;
    let body = RoomAnswer {
        room: &room,
        epoch: &head.epoch,
        seq: head.seq,
        user_count: here.count,
        members: all_known.then_some(&*here.names),
    };
    Ok(body.to_json())
}

async fn history_of(shared: &Shared, request: &Parts, room_of: RoomOf) -> Result<Vec<u8>, Refusal> {
    let room = room_of(shared, request).map_err(refused)?;
    let query = HistoryQuery::parse(request.uri.query().unwrap_or("")).map_err(refused)?;
    let page = read_or_wait(shared, &room, &query).await?;
    let body = HistoryAnswer {
        room: &room,
        epoch: page.head.as_ref().map(|head| &head.epoch),
        head: page.head.as_ref().map(|head| head.seq),
        messages: &page.rows,
        complete: page.complete,
        retry_after_ms: (!page.complete).then_some(1000),
    };
    Ok(body.to_json())
}

/// The page; an empty one above a cursor is held until a message comes, the wait is over, or the node drains.
async fn read_or_wait(shared: &Shared, room: &RoomId, query: &HistoryQuery) -> Result<Page, Refusal> {
    let deadline = Deadline::now() + query.wait;
    let mut phase = shared.phase.clone();
    loop {
        let page =
            shared.pages.page(room, query.wanted, query.limit).await.map_err(|error| refusal_of(&error))?;
        let PageWanted::After(after) = query.wanted else { return Ok(page) };
        let due = !page.rows.is_empty() || !page.complete || Deadline::now() >= deadline;
        if due || !shared.is_serving() {
            return Ok(page);
        }
        let drains = phase.wait_for(|phase| *phase != crate::drain::DrainPhase::Serving);
        let woken = async {
            tokio::select! {
                () = shared.hub.wait_above(room, after) => {}
                _ = drains => {}
            }
        };
        if timeout_at(deadline, woken).await.is_err() {
            return Ok(page);
        }
    }
}

async fn send_to(shared: &Shared, request: Request, room_of: RoomOf) -> Response {
    let (request, body) = request.into_parts();
    let language = language_of(&request.headers);
    let room = room_of(shared, &request);
    match try_send(shared, &request, body, room).await {
        Ok((room, receipt)) => {
            let body = SendAnswer {
                room: &room,
                seq: receipt.position.seq,
                id: &receipt.id,
                epoch: &receipt.position.epoch,
                level: receipt.level,
                timestamp: receipt.time,
            };
            json(StatusCode::CREATED, body.to_json())
        }
        Err(refusal) => Fault::of(refusal, language).into_response(),
    }
}

async fn try_send(
    shared: &Shared,
    request: &Parts,
    body: Body,
    room: Result<RoomId, ErrorCode>,
) -> Result<(RoomId, Receipt), Refusal> {
    let room = room.map_err(refused)?;
    let client_id = idempotency_key(&request.headers).map_err(refused)?;
    if let Some(wait) = rate_limit(request) {
        let retry_after_ms = u64::try_from(wait.as_millis()).ok().map(|ms| ms.max(1));
        return Err(Refusal { code: ErrorCode::RateLimited, retry_after_ms });
    }
    let limits = &shared.config.limits;
    let body = timeout(BODY_TIMEOUT, to_bytes(body, limits.message_bytes_max)).await;
    let body =
        body.map_err(|_| refused(ErrorCode::BadFrame))?.map_err(|_| refused(ErrorCode::MessageTooLarge))?;
    let body = SendRequest::parse(&body).map_err(|_| refused(ErrorCode::BadFrame))?;
    let sender = UserName::from_client(&body.username, limits.username_chars_max)
        .map_err(|_| refused(ErrorCode::UsernameInvalid))?;
    let saying = Saying { room: room.clone(), sender, client_id, content: body.content, level: body.ack };
    let receipt = shared.publisher.publish(saying).await?;
    Ok((room, receipt))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<ClientId>, ErrorCode> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| ErrorCode::ClientIdInvalid)?;
    ClientId::from_client(text).map(Some).map_err(|_| ErrorCode::ClientIdInvalid)
}

/// Sends over one HTTP connection are held to the same rate as frames over one WebSocket.
fn rate_limit(request: &Parts) -> Option<Duration> {
    let peer = request.extensions.get::<Peer>()?;
    peer.sends.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
}
