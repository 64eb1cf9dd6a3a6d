//! What a node still holds when it starts again.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Dot;

use super::{Recorder, State};
use crate::history::KeyId;

impl Recorder {
    /// Checks that a node that has just started still holds whatever it was seen to hold durably, or what superseded it.
    pub fn check_kept(&self, node: NodeIndex) {
        let keys = self.state.lock().history.keys.len();
        for key in (0..keys).map(KeyId) {
            let owned = self.state.lock().held_by(node, key);
            if owned.is_empty() {
                continue;
            }
            let record = match self.read(node, key) {
                Some(Ok(Some(record))) => record,
                Some(Ok(None)) => Record::empty(self.state.lock().conflict_of(key)),
                Some(Err(_)) | None => continue,
            };
            let lost = self.state.lock().lost(key, &record, &owned);
            if let Some(dot) = lost {
                let detail =
                    format!("node {} held {dot} of key {} and started without it", node.0, key.0);
                self.find_for(key, "I1/P1 a restart keeps what was durable", detail);
            }
        }
    }
}

impl State {
    /// Cells of a key that a node was seen to hold, and has not forgotten since.
    fn held_by(&self, node: NodeIndex, key: KeyId) -> Vec<Dot> {
        let forgot = self.history.forgettings.iter().filter(|forgot| forgot.node == node);
        let forgot = forgot.map(|forgot| forgot.at).max();
        let is_held = |dot: &Dot| {
            let holders = self.history.holders.get(&(key, *dot));
            holders.and_then(|nodes| nodes.get(&node)).is_some_and(|at| Some(*at) > forgot)
        };
        self.known(key).map(|(dot, _)| dot).filter(is_held).collect()
    }

    fn lost(&self, key: KeyId, record: &Record, held: &[Dot]) -> Option<Dot> {
        let is_purged = |dot: &Dot| {
            let timestamp = self.history.cells.get(&(key, *dot)).map(|cell| cell.timestamp);
            self.history.is_purged(key, (timestamp, *dot), MonoTime::from_nanos(u64::MAX))
        };
        held.iter().copied().find(|dot| !self.is_in(key, record, *dot) && !is_purged(dot))
    }
}
