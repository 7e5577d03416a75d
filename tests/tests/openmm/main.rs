//! OpenMM simulations with moves, by the plug-in of `examples/openmm`.

mod behaviour;
mod engine;
mod exactness;
