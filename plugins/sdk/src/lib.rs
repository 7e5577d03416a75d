//! The RegFlow plugin ABI ([`abi`]) and the kit to write plugins: flow architectures ([`Flow`]), velocity fields ([`Field`]),
//! target sources ([`TargetSource`]) and energy sources ([`EnergySource`]).
//!
//! A plugin never links the host's tensor library. It gets a table of operations on opaque tensors, wrapped as
//! [`Tensor`], so that the same small library runs on every device with gradients. [`plugin!`] shows a complete plugin.
//!
//! What an author must know of the numbers: the prior of a real feature is the standard normal distribution, that of a circular
//! one is uniform in `(-pi, pi]`. Real features of the data are centred and scaled to variance 1, and by default whitened, which
//! makes each a mixture of all real coordinates; [`Feature`] says what `atom` and `axis` then mean.

pub mod abi;
mod attribute;
mod config;
pub mod energy;
mod error;
mod export;
mod feature;
pub mod field;
pub mod flow;
mod host;
mod instance;
pub mod nn;
mod ops;
mod parameters;
pub mod target;
mod tensor;

pub use attribute::{Attribute, Value};
pub use energy::{Batch, Configuration};
pub use error::{Error, Result};
pub use feature::{Feature, FeatureKind, Molecule};
pub use host::Host;
pub use ops::{Activation, SplineSpec};
pub use parameters::{Init, ParameterBuilder};
pub use target::{Budget, PairedPoints, Pairing, Points, Progress};
pub use tensor::{DType, Element, Tensor};

/// What is known of a kind without its types.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// Its name in messages; in C, that of its table is `regflow_NAME_table_t`.
    pub name: &'static str,
    /// Its number.
    pub code: u32,
    /// Size of its table.
    pub size: usize,
    /// Functions of its table that are not optional, with their places.
    pub functions: &'static [(&'static str, usize)],
}

macro_rules! kinds {
    ($($module:ident::$author:ident, $list:ident;)*) => {
        $(pub use $module::$author;)*

        /// All kinds, in the order of their numbers.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            name: <$module::Table as abi::Table>::NAME,
            code: <$module::Table as abi::Table>::KIND,
            size: size_of::<$module::Table>(),
            functions: <$module::Table as abi::Table>::FUNCTIONS,
        }),*];

        /// What the macros need; not for use by hand. The lists of [`plugin!`] are named here.
        #[doc(hidden)]
        pub mod __private {
            pub use crate::export::private::*;
            $(pub use crate::$module as $list;)*
        }
    };
}

kinds! {
    flow::Flow, flows;
    field::Field, fields;
    target::TargetSource, targets;
    energy::EnergySource, energies;
}
