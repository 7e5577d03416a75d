//! Figures of merit: effective sample size, Pareto k-hat, distances, bootstrap.
