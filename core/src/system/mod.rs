//! Topology, units and trajectories.
