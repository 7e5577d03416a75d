//! Devices by name.

use candle_core::utils::cuda_is_available;
use candle_core::{Device, DeviceLocation};

use super::TensorError;

/// The devices that this build can use here, by the names that [`device`] takes: "cpu" first, then the GPUs.
pub fn devices() -> Vec<String> {
    let gpus = (0..)
        .take_while(|&index| cuda_is_available() && Device::new_cuda(index).is_ok())
        .map(|index: usize| format!("cuda:{index}"));
    std::iter::once("cpu".to_owned()).chain(gpus).collect()
}

/// The device called `name`: `cpu` or `cuda:N`.
///
/// # Errors
/// A name of another form; a GPU where this build has no CUDA support, or that does not exist.
pub fn device(name: &str) -> Result<Device, TensorError> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = name
        .strip_prefix("cuda:")
        .and_then(|ordinal| ordinal.parse::<usize>().ok())
        .ok_or_else(|| TensorError::UnknownDevice { name: name.into() })?;
    if !cuda_is_available() {
        return Err(TensorError::NoCuda { name: name.into() });
    }
    Device::new_cuda(ordinal).map_err(|source| TensorError::Device {
        name: name.into(),
        source,
    })
}

/// The name of a device, as [`device`] takes it.
pub fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        assert!(matches!(device("cpu"), Ok(Device::Cpu)));
        for name in devices() {
            assert_eq!(device_name(&device(&name).unwrap()), name);
        }
        for name in ["gpu", "cuda", "cuda:", "cuda:x", "CPU", ""] {
            assert!(
                matches!(device(name), Err(TensorError::UnknownDevice { .. })),
                "{name}"
            );
        }
        if !cuda_is_available() {
            let message = device("cuda:0").unwrap_err().to_string();
            assert!(
                message.contains("build with the feature `cuda`"),
                "{message}"
            );
        }
    }
}
