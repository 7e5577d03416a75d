//! Objectives, optimiser, schedule and the training loop.
