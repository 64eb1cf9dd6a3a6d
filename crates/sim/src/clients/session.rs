//! A client in a session: what it sends along, and what it remembers.

use std::collections::BTreeMap;

use atoll_protocol::keyspace::Conflict;
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::Failure;
use bytes::Bytes;

use super::Client;
use crate::history::{KeyId, Outcome};

impl Client {
    /// From now on it works in a session.
    pub fn begin_session(&mut self) {
        self.session = Some(BTreeMap::new());
    }

    /// What a request of the key carries.
    pub(super) fn at_least(&self, key: KeyId) -> Option<Bytes> {
        self.session.as_ref()?.get(&key).map(Context::encode)
    }

    /// Remembers the context of an answer.
    pub(super) fn saw(&mut self, key: KeyId, context: &Context) {
        self.seen.insert(key, context.clone());
        let conflict = self.recorder.state().history.keys.get(key.0).map(|key| key.conflict);
        let Some(session) = &mut self.session else { return };
        let known = session.entry(key).or_insert_with(|| context.clone());
        match conflict {
            Some(Conflict::Lww) if newest(known) >= newest(context) => {}
            Some(Conflict::Lww) => known.clone_from(context),
            Some(Conflict::Siblings) | None => known.join(context),
        }
    }

    /// Counts that a session was refused rather than answered with less.
    pub(super) fn note_refusal(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Failed(Failure::SessionBehind { .. })) {
            self.recorder.reach("session refused to go back");
        }
    }
}

/// The write that an `lww` context is of.
fn newest(context: &Context) -> (Timestamp, Option<Dot>) {
    let dots = context.entries().map(|(incarnation, counter)| Dot { incarnation, counter });
    (context.timestamp(), dots.max())
}
