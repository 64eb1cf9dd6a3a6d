//! What may, must and must not be seen of one key, by the outcomes of its only client's writes.
//!
//! Gets are at QUORUM. What such a get has seen, a value or its deletion, every later one sees.
//!
//! Invariants
//! - A value that is `Dead` stays so: whoever sees it has seen a resurrection.
//! - What nobody knows is neither demanded nor forbidden.

use std::collections::BTreeMap;

/// What is known of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The outcome of its put is unknown.
    Maybe,
    /// Acknowledged at a local level, and not seen yet: it has to turn up in the end.
    Local,
    /// At a quorum.
    There,
    /// The outcome of the write that supersedes it is unknown.
    Fading,
    /// Superseded at a local level: a get at QUORUM may still miss that, the end may not.
    Dying,
    /// Superseded at a quorum.
    Dead,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Unknown,
    Local,
    Quorum,
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// A value was seen after its deletion.
    Resurrected,
    /// A value was not seen, and nobody deleted it.
    Lost,
    /// A value was seen that nobody put.
    Invented,
}

/// The values of one key.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    fates: BTreeMap<String, Fate>,
}

impl Truth {
    /// A put of `value`, which is new, came as far as this.
    pub(crate) fn on_put(&mut self, value: &str, reach: Reach) {
        let fate = match reach {
            Reach::Unknown => Fate::Maybe,
            Reach::Local => Fate::Local,
            Reach::Quorum => Fate::There,
        };
        self.fates.insert(value.to_owned(), fate);
    }

    /// A write whose context covers `values`, all of them seen, came as far as this.
    pub(crate) fn on_superseded(&mut self, values: &[String], reach: Reach) {
        for value in values {
            let Some(fate) = self.fates.get_mut(value) else { continue };
            *fate = match (*fate, reach) {
                (Fate::Dead, _) | (_, Reach::Quorum) => Fate::Dead,
                (Fate::Dying, _) | (_, Reach::Local) => Fate::Dying,
                (_, Reach::Unknown) => Fate::Fading,
            };
        }
    }

    /// A get at QUORUM has seen exactly `shown`.
    pub(crate) fn on_get(&mut self, shown: &[String]) -> Vec<(String, Breach)> {
        let mut breaches = self.invented(shown);
        for (value, fate) in &mut self.fates {
            let breach = match (*fate, shown.contains(value)) {
                (Fate::Maybe | Fate::Local | Fate::There, true) => {
                    *fate = Fate::There;
                    continue;
                }
                (Fate::Fading | Fate::Dying, false) => {
                    *fate = Fate::Dead;
                    continue;
                }
                (Fate::Dead, true) => Breach::Resurrected,
                (Fate::There, false) => Breach::Lost,
                (Fate::Fading | Fate::Dying, true)
                | (Fate::Maybe | Fate::Local | Fate::Dead, false) => continue,
            };
            breaches.push((value.clone(), breach));
        }
        breaches
    }

    /// Whether `value` may be seen only because a deletion has not come everywhere.
    pub(crate) fn is_leaving(&self, value: &str) -> bool {
        matches!(self.fates.get(value), Some(Fate::Fading | Fate::Dying))
    }

    /// A get at ALL has seen exactly `shown`, after everything was mended.
    pub(crate) fn on_end(&self, shown: &[String]) -> Vec<(String, Breach)> {
        let mut breaches = self.invented(shown);
        for (value, fate) in &self.fates {
            let breach = match (*fate, shown.contains(value)) {
                (Fate::Dead | Fate::Dying, true) => Breach::Resurrected,
                (Fate::There | Fate::Local, false) => Breach::Lost,
                (Fate::Maybe | Fate::Fading, _)
                | (Fate::There | Fate::Local, true)
                | (Fate::Dead | Fate::Dying, false) => continue,
            };
            breaches.push((value.clone(), breach));
        }
        breaches
    }

    fn invented(&self, shown: &[String]) -> Vec<(String, Breach)> {
        let unknown = shown.iter().filter(|value| !self.fates.contains_key(*value));
        unknown.map(|value| (value.clone(), Breach::Invented)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Breach, Reach, Truth};

    fn of(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_was_deleted_at_a_quorum_must_not_be_seen() {
        let mut truth = Truth::default();
        truth.on_put("a", Reach::Quorum);
        assert_eq!(truth.on_get(&of(&["a"])), []);
        truth.on_superseded(&of(&["a"]), Reach::Unknown);
        assert_eq!(truth.on_get(&of(&["a"])), []);
        truth.on_superseded(&of(&["a"]), Reach::Quorum);
        assert_eq!(truth.on_get(&of(&["a"])), [("a".to_owned(), Breach::Resurrected)]);
        assert_eq!(truth.on_end(&of(&["a"])), [("a".to_owned(), Breach::Resurrected)]);
        assert_eq!(truth.on_end(&[]), []);
    }

    #[test]
    fn what_was_deleted_locally_is_dead_once_a_get_missed_it() {
        let mut truth = Truth::default();
        truth.on_put("a", Reach::Quorum);
        truth.on_superseded(&of(&["a"]), Reach::Local);
        assert_eq!(truth.on_get(&of(&["a"])), []);
        assert_eq!(truth.on_end(&of(&["a"])), [("a".to_owned(), Breach::Resurrected)]);
        assert_eq!(truth.on_get(&[]), []);
        assert_eq!(truth.on_get(&of(&["a"])), [("a".to_owned(), Breach::Resurrected)]);
    }

    #[test]
    fn what_is_not_known_is_neither_demanded_nor_forbidden() {
        let mut truth = Truth::default();
        truth.on_put("a", Reach::Unknown);
        assert_eq!(truth.on_get(&[]), []);
        assert_eq!(truth.on_end(&of(&["a"])), []);
        assert_eq!(truth.on_end(&[]), []);
        assert_eq!(truth.on_get(&of(&["a"])), []);
        assert_eq!(truth.on_get(&[]), [("a".to_owned(), Breach::Lost)]);
        assert_eq!(truth.on_get(&of(&["a", "b"])), [("b".to_owned(), Breach::Invented)]);
        truth.on_put("c", Reach::Local);
        assert_eq!(truth.on_get(&of(&["a"])), []);
        assert_eq!(truth.on_end(&of(&["a"])), [("c".to_owned(), Breach::Lost)]);
    }
}
