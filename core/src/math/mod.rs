//! Numbers: elementary functions, loops over lanes, vectors and angles, hashing and random streams, each in one place.

pub mod angle;
mod hash;
mod random;
mod real;
pub(crate) mod simd;
pub(crate) mod vector;

pub(crate) use hash::Fnv;
pub use random::{Purpose, Random, Streams};
pub(crate) use real::Real;
