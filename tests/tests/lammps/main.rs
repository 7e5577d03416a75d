//! `fix regflow` of `examples/lammps` in LAMMPS. The figures that these tests measure are printed:
//! `cargo test --release --package regflow-tests --test lammps`.

mod behaviour;
mod engine;
mod errors;
mod exactness;
