//! Reading one listing, of a feed or of one of its parents: ask, read, diff, commit, step; until it ends.

use super::commits::Commits;
use super::error::PollError;
use super::tally::Tally;
use super::transport::Vendors;
use super::window::{self, Window};
use crate::store::{Connection, Depth, Feed, FeedState, Fence, LogHead, PageCommit, Progress};
use anyhook_connectors::contract::{Account, Connector, ListingKind, ObjectSpec, Order, PageJob, Parent};
use anyhook_connectors::walk::{Step, Walk};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How often a newest-first listing of several pages is read again, because records may have slipped between them.
const PASSES_MAX: u32 = 3;
/// A `Date` header shows whole seconds: what changed within the one it shows was there when it was asked.
const DATE_GRANULE: TimeDelta = TimeDelta::seconds(1);
/// How often a run is taken up again after another part wrote to its feed first.
const CONFLICTS_MAX: u32 = 8;
/// Pages a run reads behind the time at which it began.
const PAGES_PAST_START_MAX: u32 = 64;
/// How often the window is asked anew because the vendor's clock was other than guessed.
const START_TRIES_MAX: u32 = 2;

/// What stays the same during a run.
pub struct Run<'a> {
    /// The way to the vendor.
    pub vendors: &'a Vendors,
    /// The integration.
    pub connector: &'static dyn Connector,
    /// The object type.
    pub spec: &'static ObjectSpec,
    /// The connection.
    pub connection: &'a Connection,
    /// The feed.
    pub feed: &'a Feed,
    /// How deep its ledger has to be.
    pub depth: Depth,
    /// Proof of the shard's lease.
    pub fence: Fence,
}

/// Where one pass over a listing stands.
pub(super) struct Pass {
    pub(super) window: Window,
    pub(super) progress: Progress,
    /// How far the runs before had come.
    pub(super) began_at: Option<DateTime<Utc>>,
    /// From where the first pass of its run asked.
    pub(super) run_from: DateTime<Utc>,
    pub(super) server_time: Option<DateTime<Utc>>,
    pub(super) reached: Option<DateTime<Utc>>,
    pub(super) pages: u32,
    /// Pages with records of a time after the vendor's clock when the run began.
    pub(super) pages_past_start: u32,
    pub(super) changes: u64,
    /// True if the next run asks from further on once all is kept.
    pub(super) has_moved: bool,
}

impl Pass {
    /// True where a record may have changed, and so moved from a page yet to be read to one read before.
    pub(super) fn may_have_slipped(&self, spec: &ObjectSpec) -> bool {
        spec.live.order == Order::UpdatedDescending && self.pages > 1
    }

    /// True where it ends behind its start, before the listing does.
    pub(super) fn is_cut_short(&self, walk: &Walk) -> bool {
        walk.ascends() && self.pages_past_start > PAGES_PAST_START_MAX
    }
}

enum PageOutcome {
    Next(Step),
    AskAnew,
}

impl Run<'_> {
    /// Reads the listing to its end, and answers when the feed started by the vendor's clock.
    pub async fn read(
        &self,
        state: &FeedState,
        parent: Option<&Parent>,
        tally: &mut Tally,
    ) -> Result<DateTime<Utc>, PollError> {
        let mut started_at = state.started_at;
        let mut run_from = DateTime::<Utc>::MAX_UTC;
        let (mut conflicts, mut expiries, mut passes) = (0, 0, 0);
        loop {
            match self.pass(state, parent, &mut started_at, &mut run_from, tally).await {
                Ok(pass) => {
                    passes += 1;
                    if !pass.may_have_slipped(self.spec) || pass.changes == 0 || passes >= PASSES_MAX {
                        return Ok(pass.window.started_at);
                    }
                }
                Err(PollError::Conflict) if conflicts < CONFLICTS_MAX && self.is_current().await? => conflicts += 1,
                Err(PollError::CursorExpired) if expiries == 0 => {
                    expiries += 1;
                    self.drop_cursor(parent).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn pass(
        &self,
        state: &FeedState,
        parent: Option<&Parent>,
        started_at: &mut Option<DateTime<Utc>>,
        run_from: &mut DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<Pass, PollError> {
        let context = &self.vendors.context;
        let key = parent.map_or("", |parent| parent.id.as_str());
        let (progress, mut head) = context.store.stand(self.feed.id, key).await?;
        for tries in 0..=START_TRIES_MAX {
            let start = started_at.unwrap_or_else(|| window::guess_start(self.feed.created_at));
            let window = window::plan(self.spec, state, &progress, self.depth, start);
            *run_from = window.from.unwrap_or(window.started_at).min(*run_from);
            if tries > 0 {
                head = context.store.log_head(self.feed.id).await?;
            }
            let mut commits = Commits::new(context.store.clone(), context.limits.poll.commits_in_flight_max, head.end);
            let mut pass = Pass {
                window,
                progress: progress.clone(),
                began_at: progress.watermark,
                run_from: *run_from,
                server_time: None,
                reached: None,
                pages: 0,
                pages_past_start: 0,
                changes: 0,
                has_moved: false,
            };
            let walked = self.walk(parent, started_at, &mut pass, &mut commits, tally).await;
            let settled = commits.finish().await;
            tally.has_moved |= settled.is_ok() && pass.has_moved;
            if walked? {
                settled?;
                return Ok(pass);
            }
        }
        Err(PollError::Transient("the vendor's clock does not stand still long enough to start from".to_owned()))
    }

    /// Walks the listing; false where it has to be asked anew from another start.
    async fn walk(
        &self,
        parent: Option<&Parent>,
        started_at: &mut Option<DateTime<Utc>>,
        pass: &mut Pass,
        commits: &mut Commits,
        tally: &mut Tally,
    ) -> Result<bool, PollError> {
        let limits = &self.vendors.context.limits.poll;
        let mut walk = Walk::new(self.spec, ListingKind::Live, pass.window.from, self.spec.page_size, None);
        loop {
            match self.page(&mut walk, parent, started_at, pass, commits, tally).await? {
                PageOutcome::AskAnew => return Ok(false),
                PageOutcome::Next(Step::End) => return Ok(true),
                PageOutcome::Next(Step::Ask) => {}
                PageOutcome::Next(Step::Wait(wait_ms)) => {
                    self.vendors
                        .context
                        .clock
                        .sleep(Duration::from_millis(wait_ms.min(limits.retry_wait_max_ms)))
                        .await;
                }
            }
            // Not before it has come further than the run before, else what is read again each time would be all it reads;
            // nor behind its start, where progress does not move.
            let has_come_on = pass.reached > pass.began_at && pass.pages_past_start == 0;
            let may_break_off = walk.ascends() && pass.window.moves_by_page(self.spec) && has_come_on;
            if may_break_off && (pass.pages >= limits.pages_per_run_max || self.is_log_full().await?) {
                tally.is_unfinished = true;
                return Ok(true);
            }
            if pass.pages >= limits.pages_per_listing_max {
                return Err(PollError::permanent(
                    "listing_too_long",
                    format!(
                        "the listing has more than {} pages; raise poll.pages_per_listing_max",
                        limits.pages_per_listing_max
                    ),
                ));
            }
        }
    }

    async fn page(
        &self,
        walk: &mut Walk,
        parent: Option<&Parent>,
        started_at: &mut Option<DateTime<Utc>>,
        pass: &mut Pass,
        commits: &mut Commits,
        tally: &mut Tally,
    ) -> Result<PageOutcome, PollError> {
        let cursor = pass.progress.cursor.clone();
        let job = PageJob {
            spec: self.spec,
            kind: ListingKind::Live,
            account: Account { meta: &self.connection.profile.meta },
            filters: &self.feed.filters,
            parent,
            updated_gte: walk.updated_gte(),
            cursor: cursor.as_deref(),
            place: walk.place(),
            limit: walk.limit(),
        };
        self.check_lease()?;
        let answer = self.ask(&job, pass, tally).await?;
        let server_time = *pass.server_time.get_or_insert(answer.server_time);
        if started_at.is_none() {
            // The first answer tells the vendor's clock, and by that when the feed started.
            let start = window::start(server_time, self.feed.created_at, self.vendors.context.clock.now());
            *started_at = Some(start);
            if start < pass.window.started_at {
                return Ok(PageOutcome::AskAnew);
            }
            pass.window.start_at(self.spec, start);
        }
        pass.pages += 1;
        let page = self.read_page(&job, &answer, tally)?;
        if let Some(look) = &mut tally.look {
            look.note(&page, &answer);
        }
        let step = walk.step(&page)?;
        let newest = page.records.iter().filter_map(|record| record.updated_at).max();
        pass.reached = if walk.ascends() { newest.or(pass.reached) } else { pass.reached.max(newest) };
        // On an endless stream of changes the run ends soon behind where it began; the next one goes on. Not at once:
        // records whose time is of the future by mistake stand there too, and would never be reached.
        pass.pages_past_start += u32::from(newest.is_some_and(|newest| newest > server_time + DATE_GRANULE));
        let step = if pass.is_cut_short(walk) { Step::End } else { step };
        let progress = self.progress_after(walk, &page, &answer, pass, server_time, step);
        self.commit(&page, parent, pass, progress, commits, tally).await?;
        Ok(PageOutcome::Next(step))
    }

    /// Nothing more is asked for once the shard is another's, or is to be.
    pub(super) fn check_lease(&self) -> Result<(), PollError> {
        let Fence { duty, shard, .. } = self.fence;
        let lease = self.vendors.context.leases.lease(duty, shard);
        if lease.is_some_and(|lease| lease.fence == self.fence) { Ok(()) } else { Err(PollError::Gone) }
    }

    /// True while the feed's settings are those that this run works under.
    async fn is_current(&self) -> Result<bool, PollError> {
        let feed = self.vendors.context.store.feed(self.feed.id).await?.ok_or(PollError::Gone)?;
        Ok(feed.revision == self.feed.revision)
    }

    /// True while polling has to wait for deliveries: the vendor is the queue.
    pub async fn is_log_full(&self) -> Result<bool, PollError> {
        Ok(self.is_full(self.vendors.context.store.log_head(self.feed.id).await?))
    }

    /// The same of a log that is known.
    pub(super) fn is_full(&self, log: LogHead) -> bool {
        log.bytes > self.vendors.context.limits.poll.log_bytes_max
    }

    /// Forgets an expired token: the next pass is a full listing, which the ledger keeps from repeating anything.
    async fn drop_cursor(&self, parent: Option<&Parent>) -> Result<(), PollError> {
        let store = &self.vendors.context.store;
        let key = parent.map_or("", |parent| parent.id.as_str());
        let (progress, head) = store.stand(self.feed.id, key).await?;
        // Before it is forgotten: what was deleted since it was given is told by nothing else.
        if progress.cursor.is_some() && self.feed.settings.tells_deleted {
            self.want_sweep().await?;
        }
        let commit = PageCommit {
            fence: self.fence,
            feed: self.feed.id,
            feed_revision: self.feed.revision,
            expected_end: head.end,
            parent: key.to_owned(),
            progress: Progress { cursor: None, etag: None, ..progress },
            ledger: Vec::new(),
            forget_before_ms: None,
            pages: Vec::new(),
        };
        store.commit_page(commit).await?;
        Ok(())
    }
}
