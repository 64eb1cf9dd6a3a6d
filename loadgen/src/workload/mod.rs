//! What is asked for: operations, keys, values and levels, drawn from one seeded stream. Pure.
//!
//! `mix.rs` chooses the operation, `keys.rs` the key (`zipf.rs`, `scramble.rs`), `levels.rs` the consistency level,
//! `value.rs` makes and checks values, `staleness.rs` knows what a get must not miss.

pub(crate) mod keys;
pub(crate) mod levels;
pub(crate) mod mix;
mod scramble;
pub(crate) mod staleness;
pub(crate) mod value;
mod zipf;
