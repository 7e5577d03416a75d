//! Importance sampling, resampling, random streams.
