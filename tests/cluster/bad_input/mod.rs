//! Bad input: a clear error with the cause and the fix, and nothing stored, lost or taken down by it.
//!
//! Ordered by who is told: whoever connects (`credentials`, `frames`), whoever asks (`requests`, `load`), whoever
//! starts a node (`start`).

mod credentials;

mod frames;

mod requests;

mod load;

mod start;
