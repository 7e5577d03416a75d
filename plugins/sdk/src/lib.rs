//! The RegFlow plugin ABI ([`abi`]) and the kit to write plugins: flow architectures ([`Flow`]), target sources
//! ([`TargetSource`]) and energy sources ([`EnergySource`]).
//!
//! A plugin never links the host's tensor library. It gets a table of operations on opaque tensors, wrapped as
//! [`Tensor`], so that the same small library runs on every device with gradients. [`plugin!`] shows a complete plugin.

pub mod abi;
mod attribute;
mod config;
mod energy;
mod error;
mod export;
mod feature;
mod flow;
mod host;
pub mod nn;
mod ops;
mod parameters;
mod target;
mod tensor;

pub use attribute::{Attribute, Value};
pub use energy::{Batch, Configuration, EnergySource};
pub use error::{Error, Result};
#[doc(hidden)]
pub use export::private as __private;
pub use feature::{Feature, FeatureKind, Molecule};
pub use flow::Flow;
pub use host::Host;
pub use ops::{Activation, SplineSpec};
pub use parameters::{Init, ParameterBuilder};
pub use target::{Points, Progress, TargetSource};
pub use tensor::{DType, Element, Tensor};
