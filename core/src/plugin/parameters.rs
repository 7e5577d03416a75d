//! The parameters of a flow: ordered by the plugin's requests, kept by name.

use super::error::ParameterError;
use crate::math::{Purpose, Streams, memory};
use crate::tensor::{DType, Device, Tensor, Var};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use regflow_plugin::Init;
use std::collections::HashMap;

/// Trainable tensors by name, on one device and of one element type.
///
/// A new parameter's random values depend on the seed and its name only, so that they do not change when a plugin asks in
/// another order, and are the same in f32 and f64 up to rounding.
pub struct Parameters {
    device: Device,
    dtype: DType,
    seed: u64,
    entries: Vec<(String, Var)>,
    index: HashMap<String, usize>,
    tracked: bool,
    /// Values from a file that no plugin has asked for yet; `None` if values are drawn.
    stored: Option<HashMap<String, Tensor>>,
}

impl Parameters {
    /// An empty store. `dtype` is f32, or f64 in checks.
    pub fn new(device: &Device, dtype: DType, seed: u64) -> Self {
        Parameters {
            device: device.clone(),
            dtype,
            seed,
            entries: Vec::new(),
            index: HashMap::new(),
            tracked: true,
            stored: None,
        }
    }

    /// A store of values from a file, for a plugin that asks for exactly these. What the file does not hold is never
    /// allocated, so that a damaged configuration cannot ask for more memory than the file has.
    pub fn from_values(device: &Device, dtype: DType, values: HashMap<String, Tensor>) -> Self {
        Parameters {
            stored: Some(values),
            ..Parameters::new(device, dtype, 0)
        }
    }

    /// Names of values from a file that no plugin has asked for.
    pub fn unused(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .stored
            .iter()
            .flatten()
            .map(|(name, _)| &**name)
            .collect();
        names.sort_unstable();
        names
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Element type of parameters and of the flow's inputs.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Seed of the first values.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Names and variables, in the order of the plugin's requests.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Var)> {
        self.entries.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// The variable `name`.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.index.get(name).map(|&at| &self.entries[at].1)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of trainable values.
    pub fn n_values(&self) -> usize {
        self.entries.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// Sets one value; element type and device are converted. Flows built from these parameters see it at once.
    ///
    /// # Errors
    /// No such parameter, or another shape.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<(), ParameterError> {
        let var = self
            .get(name)
            .ok_or_else(|| ParameterError::Unknown { name: name.into() })?;
        if var.dims() != value.dims() {
            return Err(ParameterError::Shape {
                name: name.into(),
                expected: var.dims().to_vec(),
                found: value.dims().to_vec(),
            });
        }
        self.convert(value)
            .and_then(|value| var.set(&value))
            .map_err(|error| tensor_error(name, &error))
    }

    /// Sets all values, as from a file.
    ///
    /// # Errors
    /// A parameter that is missing, unknown or of another shape; then some values may have been set.
    pub fn set_all(&self, values: &HashMap<String, Tensor>) -> Result<(), ParameterError> {
        if let Some((name, _)) = self.iter().find(|(name, _)| !values.contains_key(*name)) {
            return Err(ParameterError::Missing { name: name.into() });
        }
        let mut names: Vec<&String> = values.keys().collect();
        names.sort_unstable();
        names
            .into_iter()
            .try_for_each(|name| self.set(name, &values[name]))
    }

    /// A view of the same values from which flows can be built that keep no history for gradients: for sampling and
    /// validation while the original is being trained.
    #[must_use]
    pub fn detached(&self) -> Self {
        Parameters {
            device: self.device.clone(),
            entries: self.entries.clone(),
            index: self.index.clone(),
            tracked: false,
            stored: None,
            ..*self
        }
    }

    /// Independent values of their own, equal now: for averages and best-so-far copies.
    ///
    /// # Errors
    /// Out of memory on the device.
    pub fn duplicate(&self) -> Result<Self, ParameterError> {
        let copy = |(name, var): &(String, Var)| {
            let value = var
                .as_tensor()
                .copy()
                .and_then(|value| Var::from_tensor(&value));
            let value = value.map_err(|error| tensor_error(name, &error))?;
            Ok((name.clone(), value))
        };
        Ok(Parameters {
            device: self.device.clone(),
            entries: self
                .entries
                .iter()
                .map(copy)
                .collect::<Result<_, ParameterError>>()?,
            index: self.index.clone(),
            stored: None,
            ..*self
        })
    }

    /// The tensor that a plugin gets for `name`, made if there is none yet.
    pub(super) fn request(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<Tensor, ParameterError> {
        if let Some(var) = self.get(name) {
            if var.dims() != shape {
                return Err(ParameterError::Shape {
                    name: name.into(),
                    expected: shape.to_vec(),
                    found: var.dims().to_vec(),
                });
            }
        } else {
            let value = self.first(name, shape, init)?;
            let var = self
                .convert(&value)
                .and_then(|value| Var::from_tensor(&value))
                .map_err(|error| tensor_error(name, &error))?;
            self.index.insert(name.into(), self.entries.len());
            self.entries.push((name.into(), var));
        }
        let var = self
            .get(name)
            .ok_or_else(|| ParameterError::Unknown { name: name.into() })?;
        Ok(if self.tracked {
            var.as_tensor().clone()
        } else {
            var.as_detached_tensor()
        })
    }

    /// The value of a new parameter: drawn, or from a file.
    fn first(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor, ParameterError> {
        let Some(stored) = &mut self.stored else {
            let held = self.n_values();
            let size = size_of(name, shape, [held, self.len()], memory::available())?;
            let mut values = Vec::new();
            values
                .try_reserve_exact(size)
                .map_err(|_| too_large(name, shape, held, memory::available()))?;
            draw(&mut values, size, self.seed, name, init);
            return Tensor::from_vec(values, shape, &Device::Cpu)
                .map_err(|error| tensor_error(name, &error));
        };
        let value = stored
            .remove(name)
            .ok_or_else(|| ParameterError::Missing { name: name.into() })?;
        if value.dims() != shape {
            return Err(ParameterError::Shape {
                name: name.into(),
                expected: shape.to_vec(),
                found: value.dims().to_vec(),
            });
        }
        Ok(value)
    }

    /// Adds normal noise of standard deviation `scale / sqrt(fan_in)` to all values.
    pub(crate) fn perturb(&self, scale: f64, seed: u64) -> Result<(), ParameterError> {
        for (name, var) in self.iter() {
            let shape = var.dims();
            let fan_in = var.elem_count() / shape.last().copied().unwrap_or(1).max(1);
            let std = scale / (fan_in.max(1) as f64).sqrt();
            let mut noise = Vec::new();
            let init = Init::Normal { std };
            draw(&mut noise, var.elem_count(), seed, name, init);
            Tensor::from_vec(noise, shape, &Device::Cpu)
                .and_then(|noise| var.as_detached_tensor().add(&self.convert(&noise)?))
                .and_then(|value| var.set(&value))
                .map_err(|error| tensor_error(name, &error))?;
        }
        Ok(())
    }

    fn convert(&self, value: &Tensor) -> crate::tensor::Result<Tensor> {
        value.detach().to_dtype(self.dtype)?.to_device(&self.device)
    }
}

fn tensor_error(name: &str, error: &crate::tensor::Error) -> ParameterError {
    ParameterError::Tensor {
        name: name.into(),
        reason: error.to_string(),
    }
}

/// Bytes per value of an architecture while it is made and trained: the value, its gradient, two moments and the average in
/// f32, and the first value in f64.
const BYTES_PER_VALUE: u128 = 5 * 4 + 8;

/// Bytes per tensor of an architecture besides its values: the names and the handles of the same five tensors. Without them,
/// any number of empty ones would be free.
const BYTES_PER_TENSOR: u128 = 2048;

/// Number of values of a new parameter beside `held` others in `tensors`, unless that is more than memory can hold.
fn size_of(
    name: &str,
    shape: &[usize],
    [held, tensors]: [usize; 2],
    available: Option<u64>,
) -> Result<usize, ParameterError> {
    let size = shape
        .iter()
        .try_fold(1usize, |size, &side| size.checked_mul(side))
        .ok_or_else(|| too_large(name, shape, held, available))?;
    let needed =
        (size as u128 + held as u128) * BYTES_PER_VALUE + (tensors as u128 + 1) * BYTES_PER_TENSOR;
    match available {
        Some(available) if needed > u128::from(available) => {
            Err(too_large(name, shape, held, Some(available)))
        }
        _ => Ok(size),
    }
}

fn too_large(name: &str, shape: &[usize], held: usize, available: Option<u64>) -> ParameterError {
    ParameterError::TooLarge {
        name: name.into(),
        shape: shape.to_vec(),
        held,
        available,
    }
}

/// Appends `n` first values.
fn draw(values: &mut Vec<f64>, n: usize, seed: u64, name: &str, init: Init) {
    let mut random = Streams::new(Purpose::Parameters, seed).named(name, 0);
    match init {
        Init::Zeros => values.resize(n, 0.0),
        Init::Ones => values.resize(n, 1.0),
        Init::Constant(value) => values.resize(n, value),
        Init::Normal { std } => values.extend(
            (0..n).map(|_| std * Distribution::<f64>::sample(&StandardNormal, &mut random)),
        ),
        Init::Uniform { bound } => {
            values.extend((0..n).map(|_| bound * (2.0 * random.random::<f64>() - 1.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dtype: DType) -> Parameters {
        Parameters::new(&Device::Cpu, dtype, 5)
    }

    #[test]
    fn first_values_depend_on_seed_and_name_only() {
        let normal = Init::Normal { std: 2.0 };
        let (mut one, mut other) = (store(DType::F64), store(DType::F32));
        let a = one.request("a", &[4, 5], normal).unwrap();
        other.request("b", &[7], normal).unwrap();
        let again = other.request("a", &[4, 5], normal).unwrap();
        let rounded = a.to_dtype(DType::F32).unwrap();
        assert_eq!(
            rounded.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            again.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        let first = |seed, name| {
            let mut values = Vec::new();
            draw(&mut values, 4, seed, name, normal);
            values
        };
        assert_ne!(first(5, "a"), first(5, "b"));
        assert_ne!(first(5, "a"), first(6, "a"));
    }

    #[test]
    fn initial_values_have_the_asked_for_moments() {
        let n = 20_000usize;
        let drawn = |name, init| {
            let mut values = Vec::new();
            draw(&mut values, n, 1, name, init);
            values
        };
        let normal = drawn("n", Init::Normal { std: 0.5 });
        let uniform = drawn("u", Init::Uniform { bound: 0.5 });
        for (values, variance, fourth) in [
            (normal, 0.25, 3.0 / 16.0),
            (uniform, 0.25 / 3.0, 0.5f64.powi(4) / 5.0),
        ] {
            let mean = values.iter().sum::<f64>() / n as f64;
            let square = values.iter().map(|v| v * v).sum::<f64>() / n as f64;
            // Four standard errors of mean and mean square.
            assert!(mean.abs() < 4.0 * (variance / n as f64).sqrt(), "{mean}");
            let error = ((fourth - variance * variance) / n as f64).sqrt();
            assert!((square - variance).abs() < 4.0 * error, "{square}");
        }
    }

    #[test]
    fn stored_values_are_taken_and_nothing_else_is_made() {
        let values = |name: &str| {
            let value = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
            HashMap::from([(name.to_owned(), value)])
        };
        let mut parameters = Parameters::from_values(&Device::Cpu, DType::F32, values("w"));
        assert_eq!(parameters.unused(), ["w"]);
        let found = parameters.request("w", &[2], Init::Zeros).unwrap();
        assert_eq!(found.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert!(parameters.unused().is_empty());
        // More than any memory holds.
        let huge = [1 << 40, 1 << 20];
        let missing = parameters.request("v", &huge, Init::Zeros).unwrap_err();
        assert_eq!(missing.to_string(), "parameter `v` is missing");
        let mut parameters = Parameters::from_values(&Device::Cpu, DType::F32, values("v"));
        let shape = parameters.request("v", &huge, Init::Zeros).unwrap_err();
        assert!(matches!(shape, ParameterError::Shape { .. }), "{shape}");
    }

    #[test]
    fn views_share_and_duplicates_do_not() {
        let mut parameters = store(DType::F32);
        parameters.request("w", &[2], Init::Zeros).unwrap();
        let mut view = parameters.detached();
        let seen = view.request("w", &[2], Init::Zeros).unwrap();
        let copy = parameters.duplicate().unwrap();
        parameters
            .set("w", &Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap())
            .unwrap();
        assert_eq!(seen.to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert_eq!(copy.get("w").unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0]);
        let wrong = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let shape = parameters.set("w", &wrong).unwrap_err();
        assert_eq!(
            shape.to_string(),
            "parameter `w` has shape [3], expected [2]"
        );
        assert!(matches!(
            parameters.set_all(&HashMap::new()),
            Err(ParameterError::Missing { .. })
        ));
        assert!(matches!(
            parameters.set("v", &wrong),
            Err(ParameterError::Unknown { .. })
        ));
    }

    /// Before anything is allocated.
    #[test]
    fn parameters_that_no_memory_holds_are_refused() {
        let mut store = store(DType::F32);
        store.request("small", &[10], Init::Zeros).unwrap();
        for shape in [&[1 << 40, 1 << 40][..], &[1_000_000, 1_000_000], &[1 << 45]] {
            let error = store.request("huge", shape, Init::Ones).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains("`huge`") && message.contains("smaller"),
                "{message}"
            );
        }
        assert_eq!(store.len(), 1);
        let room = Some(2800 + 2048);
        assert_eq!(size_of("x", &[100], [0, 0], room), Ok(100));
        assert!(size_of("x", &[101], [0, 0], room).is_err());
        assert!(size_of("x", &[100], [1, 0], room).is_err());
        assert_eq!(size_of("x", &[101], [0, 0], None), Ok(101));
        // Empty ones are not free.
        assert_eq!(size_of("x", &[0], [0, 1], room), Ok(0));
        assert!(size_of("x", &[0], [0, 2], room).is_err());
    }
}
