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
    pub(super) fn at(self, configuration: usize) -> CoordinatesError {
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

/// The two directions of a map for one configuration, both of which return `log_volume`, and its gradient. Nothing in them
/// allocates: `scratch` holds [`ConfigurationMap::scratch_len`] numbers of no meaning.
pub(super) trait ConfigurationMap: Sync {
    fn scratch_len(&self) -> usize;
    fn to_features(&self, x: &[f64], z: &mut [f64], scratch: &mut [f64]) -> Result<f64, Fault>;
    fn to_positions(&self, z: &[f64], x: &mut [f64], scratch: &mut [f64]) -> f64;

    /// The reverse pass of [`ConfigurationMap::to_positions`], at features `z` inside the domain and their positions `x`:
    /// `d_z = (dx/dz)^T d_x + d log_volume / dz`. Uses `d_x` as scratch.
    fn pull_back(
        &self,
        z: &[f64],
        x: &[f64],
        d_x: &mut [f64],
        d_z: &mut [f64],
        scratch: &mut [f64],
    );

    /// The reverse pass of [`ConfigurationMap::to_features`], at positions `x` that have features, and these `z`:
    /// `d_x = (dz/dx)^T d_z - d log_volume / dx`. Uses `d_z` as scratch.
    fn pull_to_positions(
        &self,
        x: &[f64],
        z: &[f64],
        d_z: &mut [f64],
        d_x: &mut [f64],
        scratch: &mut [f64],
    );
}

/// Features of positions and `log_volume`.
pub(super) fn features(
    map: &dyn ConfigurationMap,
    x: &[f64],
    z: &mut [f64],
    scratch: &mut [f64],
) -> Result<f64, Fault> {
    match x.iter().all(|x| x.is_finite()) {
        true => map.to_features(x, z, scratch),
        false => Err(Fault::NotFinite),
    }
}

/// Positions of features and `log_volume`, which is `-inf` for features and positions that are not finite too.
pub(super) fn place(
    map: &dyn ConfigurationMap,
    z: &[f64],
    x: &mut [f64],
    scratch: &mut [f64],
) -> f64 {
    let log_volume = map.to_positions(z, x, scratch);
    let finite = z.iter().chain(x.iter()).all(|value| value.is_finite());
    if finite && !log_volume.is_nan() {
        log_volume
    } else {
        f64::NEG_INFINITY
    }
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

/// `d_features[i] = map.pull_back(features[i], d_positions[i])`, zero where that is not defined or not finite. The caller has
/// checked the lengths.
pub(super) fn pull_back(
    map: &dyn ConfigurationMap,
    [width, n_features]: [usize; 2],
    features: &[f64],
    d_positions: &[f64],
    d_features: &mut [f64],
) {
    features
        .par_chunks(CHUNK * n_features)
        .zip(d_positions.par_chunks(CHUNK * width))
        .zip(d_features.par_chunks_mut(CHUNK * n_features))
        .for_each_init(
            || vec![0.0; 2 * width + map.scratch_len()],
            |scratch, ((features, d_positions), d_features)| {
                let (x, scratch) = scratch.split_at_mut(width);
                let (d_x, scratch) = scratch.split_at_mut(width);
                let rows = features
                    .chunks_exact(n_features)
                    .zip(d_positions.chunks_exact(width))
                    .zip(d_features.chunks_exact_mut(n_features));
                for ((z, d_positions), d_z) in rows {
                    let defined = place(map, z, x, scratch) > f64::NEG_INFINITY
                        && d_positions.iter().all(|gradient| gradient.is_finite());
                    if defined {
                        d_x.copy_from_slice(d_positions);
                        map.pull_back(z, x, d_x, d_z, scratch);
                    }
                    if !defined || d_z.iter().any(|gradient| !gradient.is_finite()) {
                        d_z.fill(0.0);
                    }
                }
            },
        );
}

/// `d_positions[i] = map.pull_to_positions(positions[i], d_features[i])`, zero where that is not finite, or the fault of the first
/// configuration that has no features. The caller has checked the lengths.
pub(super) fn pull_to_positions(
    map: &dyn ConfigurationMap,
    [width, n_features]: [usize; 2],
    positions: &[f64],
    d_features: &[f64],
    d_positions: &mut [f64],
) -> Result<(), CoordinatesError> {
    let fault = positions
        .par_chunks(CHUNK * width)
        .zip(d_features.par_chunks(CHUNK * n_features))
        .zip(d_positions.par_chunks_mut(CHUNK * width))
        .enumerate()
        .map_init(
            || vec![0.0; 2 * n_features + map.scratch_len()],
            |scratch, (chunk, ((positions, d_features), d_positions))| {
                let (z, scratch) = scratch.split_at_mut(n_features);
                let (d_z, scratch) = scratch.split_at_mut(n_features);
                let rows = positions
                    .chunks_exact(width)
                    .zip(d_features.chunks_exact(n_features))
                    .zip(d_positions.chunks_exact_mut(width));
                for (row, ((x, d_features), d_x)) in rows.enumerate() {
                    if let Err(fault) = features(map, x, z, scratch) {
                        return Some(fault.at(chunk * CHUNK + row));
                    }
                    d_z.copy_from_slice(d_features);
                    map.pull_to_positions(x, z, d_z, d_x, scratch);
                    if d_x.iter().any(|gradient| !gradient.is_finite()) {
                        d_x.fill(0.0);
                    }
                }
                None
            },
        )
        .find_map_first(|fault| fault);
    fault.map_or(Ok(()), Err)
}
