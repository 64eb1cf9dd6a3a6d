//! One node as this client sees it: its link, or why there is none.
//!
//! Part of the snapshot, which is immutable; the link in it is not. Routing reads [`Peer::condition`], dispatch asks
//! for [`Peer::link`].
//!
//! ```text
//!   Idle ── asked for ──► Dialing ── admitted ──► Up ── ended ──► Idle
//!                            │                      └─ ended, never heard ──► Down
//!                            └── failed ──► Down ── backoff over, asked for ──► Dialing
//! ```
//!
//! Invariants
//! - At most one dial of a node is under way; it is a task of its own, so a request that is dropped leaves it be.
//! - While a node is `Down` and its backoff runs, asking for it fails at once with the error of the last dial.
//!
//! No lock is held across an await.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Dialer, Link, Target};
use crate::error::Error;
use crate::runtime;

/// Time after the first failed dial before the next; doubles with each failure.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// Longest time between dials that are asked for: 50 ms × 2^5, rounded; a restarted node is found within it.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

type Dialed = Option<Result<Arc<Link>, Error>>;

/// A node of the cluster. Shared by all snapshots that have it.
#[derive(Debug)]
pub(crate) struct Peer {
    target: Target,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    /// Dials that failed in a row.
    failures: u32,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Dialing(watch::Receiver<Dialed>),
    Up(Arc<Link>),
    Down { until: Instant, error: Error },
}

/// What routing needs to know of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Connected.
    Up {
        /// Round-trip time.
        rtt: Duration,
        /// Requests that wait for their replies.
        inflight: usize,
    },
    /// Connected, and a request timed out a moment ago.
    Suspect,
    /// A dial is under way.
    Dialing,
    /// Nobody has asked for it, or its backoff is over.
    Idle,
    /// The last dial failed a moment ago.
    Down,
}

impl Peer {
    /// A node that nobody has asked for.
    pub(crate) fn new(target: Target) -> Self {
        Self { target, slot: Mutex::new(Slot { phase: Phase::Idle, failures: 0 }) }
    }

    /// Where it is and who it must be.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Uses `link`, which was made through a seed's address, unless there is one already.
    pub(crate) fn adopt(&self, link: &Arc<Link>) {
        assert_eq!(*link.node(), self.target.node, "a link belongs to the node that it names");
        let mut slot = self.slot.lock();
        let connected = matches!(&slot.phase, Phase::Up(known) if !known.is_closed());
        if !connected {
            *slot = Slot { phase: Phase::Up(Arc::clone(link)), failures: 0 };
        }
    }

    /// How it is.
    pub(crate) fn condition(&self, now: Instant) -> Condition {
        let mut slot = self.slot.lock();
        slot.settle(now);
        match &slot.phase {
            Phase::Idle => Condition::Idle,
            Phase::Dialing(_) => Condition::Dialing,
            Phase::Up(link) if link.is_suspect(now) => Condition::Suspect,
            Phase::Up(link) => Condition::Up { rtt: link.rtt(), inflight: link.inflight() },
            Phase::Down { .. } => Condition::Down,
        }
    }

    /// Its link, which is dialled if need be.
    ///
    /// # Cancellation
    /// The dial goes on without the caller.
    pub(crate) async fn link(self: &Arc<Self>, dialer: &Dialer) -> Result<Arc<Link>, Error> {
        let mut dialed = match self.link_or_dial(dialer) {
            Ok(link) => return Ok(link),
            Err(Waiting::For(dialed)) => dialed,
            Err(Waiting::InVain(error)) => return Err(error),
        };
        let given_up = || Error::unreachable(self.target.node.as_str(), &"the dial was given up");
        match dialed.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(given_up())),
            Err(_) => Err(given_up()),
        }
    }

    /// Starts a dial if the node is idle; does not wait.
    pub(crate) fn warm(self: &Arc<Self>, dialer: &Dialer) {
        // Whatever comes of it, nobody asked yet.
        let _ = self.link_or_dial(dialer);
    }

    fn link_or_dial(self: &Arc<Self>, dialer: &Dialer) -> Result<Arc<Link>, Waiting> {
        let mut slot = self.slot.lock();
        slot.settle(runtime::now());
        match &slot.phase {
            Phase::Up(link) => Ok(Arc::clone(link)),
            Phase::Dialing(dialed) => Err(Waiting::For(dialed.clone())),
            Phase::Down { error, .. } => Err(Waiting::InVain(error.clone())),
            Phase::Idle => {
                let (done, dialed) = watch::channel(None);
                slot.phase = Phase::Dialing(dialed.clone());
                runtime::spawn(dial(Arc::clone(self), dialer.clone(), done));
                Err(Waiting::For(dialed))
            }
        }
    }
}

/// What stands between a caller and a link.
enum Waiting {
    For(watch::Receiver<Dialed>),
    InVain(Error),
}

impl Slot {
    /// Takes note of what time and the network did meanwhile.
    fn settle(&mut self, now: Instant) {
        match &self.phase {
            Phase::Up(link) if link.is_closed() && link.was_heard() => {
                *self = Self { phase: Phase::Idle, failures: 0 };
            }
            Phase::Up(link) if link.is_closed() => {
                let reason = "it ended the connection without an answer";
                let error = Error::unreachable(link.node().as_str(), &reason);
                self.fail(now, error);
            }
            Phase::Down { until, .. } if *until <= now => self.phase = Phase::Idle,
            Phase::Dialing(dialed)
                if dialed.has_changed().is_err() && dialed.borrow().is_none() =>
            {
                self.phase = Phase::Idle;
            }
            Phase::Idle | Phase::Dialing(_) | Phase::Up(_) | Phase::Down { .. } => {}
        }
    }

    fn fail(&mut self, now: Instant, error: Error) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let backoff = BACKOFF_MAX.min(BACKOFF_FIRST * 2u32.pow(doublings));
        self.phase = Phase::Down { until: now + backoff, error };
    }
}

async fn dial(peer: Arc<Peer>, dialer: Dialer, done: watch::Sender<Dialed>) {
    let outcome = dialer.dial_node(&peer.target).await;
    {
        let mut slot = peer.slot.lock();
        match &outcome {
            // A seed's link may have been adopted meanwhile; the newer one is as good.
            Ok(link) => slot.phase = Phase::Up(Arc::clone(link)),
            Err(_) if matches!(&slot.phase, Phase::Up(known) if !known.is_closed()) => {}
            Err(error) => {
                tracing::debug!(node = %peer.target.node, %error, "dial failed");
                slot.fail(runtime::now(), error.clone());
            }
        }
    }
    done.send_replace(Some(outcome));
}
