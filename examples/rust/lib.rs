//! The Rust examples; see the files beside this one.
