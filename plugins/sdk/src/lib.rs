//! The RegFlow plugin ABI and the kit to write plugins.

pub mod abi;
