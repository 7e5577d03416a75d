//! Pairs of prior and data points: made by target plugins, read, written and streamed.
