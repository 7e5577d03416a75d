//! One coupling: a conditioner and the maps of real and circular features.

use crate::{CircularShift, Config, RealMap};
use regflow_plugin::nn::{Halves, LogDet, Mlp, MlpConfig};
use regflow_plugin::{Error, Init, ParameterBuilder, SplineSpec, Tensor};
use std::f64::consts::PI;

/// The conditioner's output holds, in this order, for n real and c circular features of the transformed half:
/// "light": n scales, n shifts; "spline": n x (3 K - 1) spline parameters; then c x 3 K spline parameters, and c shifts.
pub struct Coupling {
    network: Mlp,
    real: Real,
    n_real: usize,
    circular: Circular,
    n_circular: usize,
}

enum Real {
    /// Shared spline `[1, n, 3 K - 1]`; `None` where this half has no real feature.
    Light {
        spline: Option<Tensor>,
        spec: SplineSpec,
        limit: f64,
    },
    Spline {
        spec: SplineSpec,
    },
}

struct Circular {
    spec: SplineSpec,
    /// Shared shift `[1, c]`; `None` where it comes from the network.
    shift: Option<Tensor>,
}

impl Coupling {
    /// `sizes`: numbers of conditioning and transformed columns, real and circular.
    pub fn new(
        parameters: &ParameterBuilder<'_>,
        sizes: [(usize, usize); 2],
        network: &MlpConfig,
        config: &Config,
    ) -> Result<Self, Error> {
        let [(real_in, n_real), (circular_in, n_circular)] = sizes;
        let spec = |lower, upper, circular| SplineSpec {
            lower,
            upper,
            bins: config.bins,
            circular,
            min_bin: config.min_bin,
            min_slope: config.min_slope,
        };
        let real_spec = spec(-config.tail_bound, config.tail_bound, false);
        let circular_spec = spec(-PI, PI, true);
        let (real, real_out) = match config.real {
            RealMap::Light => {
                let shape = [1, n_real, real_spec.n_parameters()];
                let spline = (n_real > 0)
                    .then(|| parameters.get("spline", &shape, Init::Zeros))
                    .transpose()?;
                let light = Real::Light {
                    spline,
                    spec: real_spec,
                    limit: config.scale_limit,
                };
                (light, 2 * n_real)
            }
            RealMap::Spline => (
                Real::Spline { spec: real_spec },
                n_real * real_spec.n_parameters(),
            ),
        };
        let conditional_shift = config.circular_shift == CircularShift::Conditional;
        let shift = (n_circular > 0 && !conditional_shift)
            .then(|| parameters.get("shift", &[1, n_circular], Init::Zeros))
            .transpose()?;
        let circular_out =
            n_circular * (circular_spec.n_parameters() + usize::from(conditional_shift));
        Ok(Coupling {
            network: Mlp::new(
                parameters,
                real_in + 2 * circular_in,
                real_out + circular_out,
                network,
            )?,
            real,
            n_real,
            circular: Circular {
                spec: circular_spec,
                shift,
            },
            n_circular,
        })
    }

    /// Replaces the transformed halves.
    pub fn apply(
        &self,
        real: &mut Halves,
        circular: &mut Halves,
        inverse: bool,
        log_det: &mut LogDet,
    ) -> Result<(), Error> {
        let output = self.network.forward(&conditions(real, circular)?)?;
        let mut taken = 0;
        let mut take = |n: usize| {
            taken += n;
            output.narrow(1, taken - n, n)
        };
        if let Some(x) = real.transformed.take() {
            let n = self.n_real;
            real.transformed = Some(match &self.real {
                Real::Light {
                    spline,
                    spec,
                    limit,
                } => {
                    let (scale, shift) = (take(n)?, take(n)?);
                    light(
                        &x,
                        spline.as_ref(),
                        spec,
                        (&scale, &shift, *limit),
                        inverse,
                        log_det,
                    )?
                }
                Real::Spline { spec } => {
                    let parameters = grouped(&take(n * spec.n_parameters())?, n)?;
                    let (y, term) = x.rational_quadratic_spline(&parameters, spec, inverse)?;
                    log_det.push(term)?;
                    y
                }
            });
        }
        if let Some(x) = circular.transformed.take() {
            let (n, spec) = (self.n_circular, &self.circular.spec);
            let parameters = grouped(&take(n * spec.n_parameters())?, n)?;
            let shift = match &self.circular.shift {
                Some(shift) => shift.clone(),
                None => take(n)?,
            };
            // The spline wraps its input, so that a shifted angle needs no wrap of its own on the way forward.
            let (y, term) = if inverse {
                let (y, term) = x.rational_quadratic_spline(&parameters, spec, true)?;
                ((&y - &shift)?.wrap()?, term)
            } else {
                (&x + &shift)?.rational_quadratic_spline(&parameters, spec, false)?
            };
            log_det.push(term)?;
            circular.transformed = Some(y);
        }
        Ok(())
    }
}

/// Affine map by the network, then the shared spline; the inverse in reverse order.
fn light(
    x: &Tensor,
    spline: Option<&Tensor>,
    spec: &SplineSpec,
    (scale, shift, limit): (&Tensor, &Tensor, f64),
    inverse: bool,
    log_det: &mut LogDet,
) -> Result<Tensor, Error> {
    let mut y = x.clone();
    for affine in [!inverse, inverse] {
        let (next, term) = match spline {
            _ if affine => y.affine_coupling(scale, shift, limit, inverse)?,
            Some(spline) => y.rational_quadratic_spline(spline, spec, inverse)?,
            None => continue,
        };
        log_det.push(term)?;
        y = next;
    }
    Ok(y)
}

/// Real features as they are, circular ones as cosine and sine.
fn conditions(real: &Halves, circular: &Halves) -> Result<Tensor, Error> {
    let angles = circular.conditioner.as_ref();
    let waves = angles
        .map(|angles| Ok::<_, Error>([angles.cos()?, angles.sin()?]))
        .transpose()?;
    let parts: Vec<&Tensor> = real
        .conditioner
        .iter()
        .chain(waves.iter().flatten())
        .collect();
    match parts.as_slice() {
        [single] => Ok((*single).clone()),
        parts => Tensor::cat(parts, 1),
    }
}

/// `[B, n P]` as `[B, n, P]`.
fn grouped(parameters: &Tensor, n: usize) -> Result<Tensor, Error> {
    let (batch, columns) = parameters.dims2()?;
    parameters.reshape(&[batch, n, columns / n])
}
