//! Numbers: elementary functions, loops over lanes, vectors and angles, hashing, random streams and the memory there is, each in one place.

pub mod angle;
mod hash;
pub(crate) mod memory;
mod random;
mod real;
pub(crate) mod simd;
pub(crate) mod vector;

pub(crate) use hash::Fnv;
pub use random::{Purpose, Random, Streams};
pub(crate) use real::Real;
