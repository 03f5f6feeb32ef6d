//! This node's counts and notices on their way to the others, for each Redis by itself: one that is late delays no other.
//! Not here: which rooms have news (`presence`), what is heard (`deliver`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    event::{self, PresenceEvent},
    inner::{Inner, Site},
    link::{Args, CallError},
    presence::{GATHER, KEPT, News, REPEAT},
};

/// Rooms told in one go.
const AT_ONCE: usize = 256;
/// And calls under way for them.
const CALLS_AT_ONCE: usize = 64;
/// Parts in which all rooms are told again.
const REPEAT_PARTS: u32 = 60;
/// After calls that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Has every room told again once in a while, for ever.
pub(crate) async fn repeat(inner: Arc<Inner>) {
    let mut part = 0;
    let mut repeat = interval(REPEAT / REPEAT_PARTS);
    repeat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        repeat.tick().await;
        part += 1;
        inner.presence.repeat(part, u64::from(REPEAT_PARTS));
        inner.sites().iter().for_each(|site| site.news_came.notify_one());
    }
}

/// Tells the news of one Redis's rooms, for ever.
///
/// # Cancel safety
/// Dropping it may lose what is being told; it is told again within the minute.
pub(crate) async fn tell(inner: Arc<Inner>, site: Arc<Site>) {
    loop {
        site.news_came.notified().await;
        let pause = if inner.tell_news(&site).await { GATHER } else { RETRY };
        sleep(pause).await;
    }
}

impl Inner {
    /// Tells every room's news, as far as Redis answers. Answers whether it did.
    pub(crate) async fn tell_news(&self, site: &Site) -> bool {
        let partitions = self.map.partitions_of(&site.link);
        loop {
            let news = self.presence.take_news(&partitions, AT_ONCE);
            if news.is_empty() {
                return true;
            }
            let failed = AtomicBool::new(false);
            stream::iter(news)
                .for_each_concurrent(CALLS_AT_ONCE, async |news| {
                    if failed.load(Ordering::Relaxed) {
                        // It would only wait as the one before it did.
                        return self.presence.failed(news, false);
                    }
                    if let Err(error) = self.tell_one(site, &news).await {
                        tracing::debug!(room = %news.room, %error, "who is here could not be told; trying again");
                        self.presence.failed(news, matches!(error, CallError::Uncertain(_)));
                        failed.store(true, Ordering::Relaxed);
                    }
                })
                .await;
            if failed.into_inner() {
                // The next repeat, or the next change, tries again.
                return false;
            }
        }
    }

    async fn tell_one(&self, site: &Site, news: &News) -> Result<(), CallError> {
        // Near the bound of its memory Redis is spared the notices; the counts are needed.
        let notices = if site.beat.sheds() { Vec::new() } else { news.notices.clone() };
        let event = PresenceEvent { node: self.config.node, here: news.here.clone(), notices };
        let kept = if news.here.count == 0 { String::new() } else { event::encode_here(&news.here) };
        let keys = [self.keys.presence(&news.room), self.keys.absent(self.keys.partition_of(&news.room))];
        let args = Args::new()
            .with(format!("{:x}", self.config.node.0))
            .with(kept)
            .with(KEPT.as_millis())
            .with(self.keys.room_channel(&news.room))
            .with(event::encode_presence(&event));
        site.link.call::<String>(&self.scripts.presence, &keys, args).await.map(drop)
    }
}
