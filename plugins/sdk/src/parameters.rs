//! Parameters and constants of a flow under construction.

use crate::abi::{self, BuildHandle, Str};
use crate::error::Result;
use crate::feature::Molecule;
use crate::host::Host;
use crate::tensor::{DType, Tensor};

/// First value of a parameter in a new model.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All equal.
    Constant(f64),
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Half width.
        bound: f64,
    },
}

/// Hands out parameters, which the host keeps, trains and saves by name, and constants.
///
/// The name of a parameter decides its random first value (with the seed of the model), not the order of the calls.
#[derive(Clone)]
pub struct ParameterBuilder<'a> {
    host: Host,
    build: *mut BuildHandle,
    dtype: DType,
    molecule: &'a Molecule,
    prefix: String,
}

impl<'a> ParameterBuilder<'a> {
    pub(crate) fn new(
        host: Host,
        build: *mut BuildHandle,
        dtype: DType,
        molecule: &'a Molecule,
    ) -> Self {
        ParameterBuilder {
            host,
            build,
            dtype,
            molecule,
            prefix: String::new(),
        }
    }

    /// A builder whose names start with `scope.`, after those of this one.
    #[must_use]
    pub fn pp(&self, scope: impl std::fmt::Display) -> Self {
        let prefix = format!("{}{scope}.", self.prefix);
        ParameterBuilder {
            prefix,
            ..self.clone()
        }
    }

    /// The trainable parameter `name` of `shape`.
    ///
    /// # Errors
    /// The name was asked for before, or a loaded model has it in another shape.
    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        let dims: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let (code, value) = match init {
            Init::Zeros => (abi::INIT_ZEROS, 0.0),
            Init::Ones => (abi::INIT_ONES, 0.0),
            Init::Constant(value) => (abi::INIT_CONSTANT, value),
            Init::Normal { std } => (abi::INIT_NORMAL, std),
            Init::Uniform { bound } => (abi::INIT_UNIFORM, bound),
        };
        let table = self.host.table();
        let mut output = std::ptr::null_mut();
        // SAFETY: `build` is valid while the builder can be reached, that is during create; the slices outlive the call.
        let status = unsafe {
            (table.parameter)(
                table.context,
                self.build,
                Str::new(&name),
                dims.as_ptr(),
                dims.len() as u64,
                code,
                value,
                &mut output,
            )
        };
        self.host.check("parameter", status)?;
        // SAFETY: on success the host wrote a tensor with one reference for us.
        unsafe { Tensor::from_raw(self.host, output) }
    }

    /// A constant of the parameters' dtype.
    ///
    /// # Errors
    /// The number of values is not the product of `shape`.
    pub fn constant_f32(&self, values: &[f32], shape: &[usize]) -> Result<Tensor> {
        let constant = Tensor::from_host(self.host, values, shape)?;
        match self.dtype {
            DType::F32 => Ok(constant),
            other => constant.cast(other),
        }
    }

    /// A constant of indices.
    ///
    /// # Errors
    /// The number of values is not the product of `shape`.
    pub fn constant_u32(&self, values: &[u32], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_host(self.host, values, shape)
    }

    /// dtype of parameters, inputs and outputs.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Elements and bonds, where the host knows them.
    pub fn molecule(&self) -> &'a Molecule {
        self.molecule
    }

    /// The host, to ask which operations it supports.
    pub fn host(&self) -> Host {
        self.host
    }
}
