//! Bodies of requests, of bounded size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Options;
use crate::refusal::Refusal;

/// A share of the memory for bodies, given back with the last of its clones.
pub type Share = Arc<OwnedSemaphorePermit>;

/// How long the rest of a refused body is read for its client to see the answer.
const LINGER: Duration = Duration::from_secs(1);

/// A body on its way.
pub struct Incoming {
    body: Body,
    /// Whether any of it was asked for, which lets a client that waits for that send all of it.
    begun: bool,
}

impl Incoming {
    pub fn new(body: Body) -> Self {
        Self { body, begun: false }
    }
}

/// Reads a body; memory is taken for what has come, not for what is announced. Where there is none left, `purge` is to
/// give back what nobody needs any more.
///
/// # Errors
/// 413 for a body that is too large, 503 if there is no memory for it, 408 if it takes too long, and 400 if it is
/// broken off.
pub async fn read(
    incoming: &mut Incoming,
    options: &Options,
    memory: &Arc<Semaphore>,
    purge: impl Fn(),
) -> Result<(Vec<u8>, Share), Refusal> {
    let most = options.max_body;
    let too_large = || {
        Refusal::too_large(format!(
            "a body of more than {most} bytes, which is the limit"
        ))
    };
    let Incoming { body, begun } = incoming;
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut share = take(memory, 0, &purge)?;
    *begun = true;
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| Refusal::malformed(format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > most - bytes.len() {
                return Err(too_large());
            }
            share.merge(take(memory, data.len() as u32, &purge)?);
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    let late = |_| {
        let time = options.body_timeout.as_secs_f32();
        let reason = format!("the body took longer than {time} s");
        Refusal::new(StatusCode::REQUEST_TIMEOUT, reason)
    };
    timeout(options.body_timeout, read).await.map_err(late)??;
    Ok((bytes, Arc::new(share)))
}

fn take(
    memory: &Arc<Semaphore>,
    bytes: u32,
    purge: impl Fn(),
) -> Result<OwnedSemaphorePermit, Refusal> {
    let share = || memory.clone().try_acquire_many_owned(bytes);
    let purged = |_| {
        purge();
        share()
    };
    share().or_else(purged).map_err(|_| {
        Refusal::busy("the bodies of other requests take all memory that there is for them")
    })
}

/// Reads on for a moment, and forgets it: a connection that is closed while its client still sends may lose the
/// answer. A client that waits to be asked for the body is not.
pub async fn linger(incoming: &mut Incoming, headers: &HeaderMap, most: usize) {
    let Incoming { body, begun } = incoming;
    if headers.contains_key(header::EXPECT) && !*begun {
        return;
    }
    let mut left = most;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, |data| data.len());
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = timeout(LINGER, read).await;
}
