//! Numbers: hashing and random streams, each in one place.

mod hash;
mod random;

pub(crate) use hash::Fnv;
pub use random::{Purpose, Random, Streams};
