//! Applies a map of one configuration to many, threaded.

use rayon::prelude::*;

use super::CoordinatesError;

/// Configurations that a thread takes at a time: long enough (0.1 ms) to hide the scheduling.
const CHUNK: usize = 32;

/// Why one configuration has no features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    NotFinite,
    Collapsed([usize; 2]),
    Collinear([usize; 3]),
}

impl Fault {
    fn at(self, configuration: usize) -> CoordinatesError {
        match self {
            Self::NotFinite => CoordinatesError::NotFinite { configuration },
            Self::Collapsed(atoms) => CoordinatesError::Collapsed {
                configuration,
                atoms,
            },
            Self::Collinear(atoms) => CoordinatesError::Collinear {
                configuration,
                atoms,
            },
        }
    }
}

/// The two directions of a map for one configuration; both return `log_volume`. Nothing in them allocates: `scratch` holds
/// [`ConfigurationMap::scratch_len`] numbers of no meaning.
pub(super) trait ConfigurationMap: Sync {
    fn scratch_len(&self) -> usize;
    fn to_features(&self, x: &[f64], z: &mut [f64], scratch: &mut [f64]) -> Result<f64, Fault>;
    fn to_positions(&self, z: &[f64], x: &mut [f64], scratch: &mut [f64]) -> f64;
}

/// Numbers per configuration.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub input: usize,
    pub output: usize,
    pub scratch: usize,
}

/// `log_volume[i] = map(input[i], output[i], scratch)`, or the fault of the first configuration that has one. The caller has
/// checked the lengths.
pub(super) fn run<F>(
    shape: Shape,
    input: &[f64],
    output: &mut [f64],
    log_volume: &mut [f64],
    map: F,
) -> Result<(), CoordinatesError>
where
    F: Fn(&[f64], &mut [f64], &mut [f64]) -> Result<f64, Fault> + Sync,
{
    let fault = input
        .par_chunks(CHUNK * shape.input)
        .zip(output.par_chunks_mut(CHUNK * shape.output))
        .zip(log_volume.par_chunks_mut(CHUNK))
        .enumerate()
        .map_init(
            || vec![0.0; shape.scratch],
            |scratch, (chunk, ((input, output), log_volume))| {
                let rows = input
                    .chunks_exact(shape.input)
                    .zip(output.chunks_exact_mut(shape.output));
                for (row, ((input, output), log_volume)) in rows.zip(log_volume).enumerate() {
                    *log_volume = match map(input, output, scratch) {
                        Ok(value) => value,
                        Err(fault) => return Some(fault.at(chunk * CHUNK + row)),
                    };
                }
                None
            },
        )
        .find_map_first(|fault| fault);
    fault.map_or(Ok(()), Err)
}
