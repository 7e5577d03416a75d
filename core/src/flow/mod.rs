//! A model: prior, coordinates, architecture and parameters in one file.
