//! The parameters of a flow: ordered by the plugin's requests, kept by name.

use super::error::ParameterError;
use crate::math::{Purpose, Streams};
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
            let values = first_values(self.seed, name, shape, init);
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
    pub(super) fn perturb(&self, scale: f64, seed: u64) -> Result<(), ParameterError> {
        for (name, var) in self.iter() {
            let shape = var.dims();
            let fan_in = var.elem_count() / shape.last().copied().unwrap_or(1).max(1);
            let std = scale / (fan_in.max(1) as f64).sqrt();
            let noise = first_values(seed, name, shape, Init::Normal { std });
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

fn first_values(seed: u64, name: &str, shape: &[usize], init: Init) -> Vec<f64> {
    let n = shape.iter().product();
    let mut random = Streams::new(Purpose::Parameters, seed).named(name, 0);
    match init {
        Init::Zeros => vec![0.0; n],
        Init::Ones => vec![1.0; n],
        Init::Constant(value) => vec![value; n],
        Init::Normal { std } => (0..n)
            .map(|_| std * Distribution::<f64>::sample(&StandardNormal, &mut random))
            .collect(),
        Init::Uniform { bound } => (0..n)
            .map(|_| bound * (2.0 * random.random::<f64>() - 1.0))
            .collect(),
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
        let drawn = |seed, name| first_values(seed, name, &[4], normal);
        assert_ne!(drawn(5, "a"), drawn(5, "b"));
        assert_ne!(drawn(5, "a"), drawn(6, "a"));
    }

    #[test]
    fn initial_values_have_the_asked_for_moments() {
        let n = 20_000usize;
        let normal = first_values(1, "n", &[n], Init::Normal { std: 0.5 });
        let uniform = first_values(1, "u", &[n], Init::Uniform { bound: 0.5 });
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
}
