//! Potential energies and forces in batches.
