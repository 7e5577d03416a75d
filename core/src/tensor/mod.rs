//! The operation table over candle: the only place that knows devices and kernels.
