//! Mends some partitions with one peer now, and says of which it cannot.
//!
//! Asked by `src/purge`: what both sides held when it began, both hold when it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;

use super::plan::Share;
use super::trouble::Trouble;
use super::{Repair, count};

/// Attempts to mend a partition that is being mended with somebody else, and the pause between them.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);

impl Repair {
    /// Whether an operator has paused anti-entropy.
    pub fn is_paused(&self) -> bool {
        self.parts.progress.is_paused()
    }

    /// Compares `partitions` with `peer` and mends what differs; why it could not, by partition.
    pub async fn reconcile(
        &self,
        peer: NodeIndex,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
    ) -> BTreeMap<Partition, String> {
        let differing = match self.differing(peer, sets, partitions.clone()).await {
            Ok(compared) => compared.differing,
            Err(trouble) => {
                let reason = in_words(trouble);
                return partitions.into_iter().map(|of| (of, reason.clone())).collect();
            }
        };
        let mut failed = BTreeMap::new();
        for partition in differing {
            count(&self.parts.counters.differed, 1);
            let step = self.step(peer);
            if let Err(trouble) = self.mend_soon(peer, Share { sets, partition }).await {
                failed.insert(partition, in_words(trouble));
            }
            self.rest_after(step).await;
        }
        failed
    }

    async fn mend_soon(&self, peer: NodeIndex, share: Share) -> Result<(), Trouble> {
        for _ in 1..ATTEMPTS {
            match self.mend_in_turn(peer, share).await {
                Err(Trouble::Busy) => self.parts.env.sleep(self.parts.env.jitter(PAUSE)).await,
                done => return done,
            }
        }
        self.mend_in_turn(peer, share).await
    }

    async fn mend_in_turn(&self, peer: NodeIndex, share: Share) -> Result<(), Trouble> {
        let turn = self.parts.exchanges.acquire().await;
        let _turn = turn.map_err(|_| Trouble::Gone)?;
        self.mend(peer, share).await
    }
}

fn in_words(trouble: Trouble) -> String {
    match trouble {
        Trouble::Busy => "it waits for hints, or is being mended with somebody else".to_owned(),
        Trouble::Gone => "the connection to it was lost".to_owned(),
        Trouble::Failed(detail) => detail,
    }
}
