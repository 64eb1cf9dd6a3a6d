//! How a peer stands: what failure detection is told of it, and what it makes of that.
//!
//! Net keeps both because requests ask at once; whoever judges sits above (`src/membership`).

use std::sync::atomic::{AtomicU8, Ordering};

use atoll_protocol::time::MonoTime;

/// What failure detection makes of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// Nothing speaks against it.
    #[default]
    Trusted,
    /// It did not answer probes, and has not contradicted yet: asked last.
    Suspect,
    /// Several nodes do not reach it: not asked.
    Convicted,
}

/// What there is to judge a peer by, at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Whether a link to it is open.
    pub is_linked: bool,
    /// When it was last heard.
    pub heard: MonoTime,
}

/// Whether a peer spoke for the first time on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It did.
    First,
    /// It has spoken there before, or the link is gone.
    Another,
}

/// A [`Judgement`] that is replaced while others read it.
#[derive(Debug, Default)]
pub(super) struct AtomicJudgement(AtomicU8);

impl AtomicJudgement {
    pub(super) fn load(&self) -> Judgement {
        match self.0.load(Ordering::Relaxed) {
            0 => Judgement::Trusted,
            1 => Judgement::Suspect,
            _ => Judgement::Convicted,
        }
    }

    pub(super) fn store(&self, judgement: Judgement) {
        let byte = match judgement {
            Judgement::Trusted => 0,
            Judgement::Suspect => 1,
            Judgement::Convicted => 2,
        };
        self.0.store(byte, Ordering::Relaxed);
    }
}
