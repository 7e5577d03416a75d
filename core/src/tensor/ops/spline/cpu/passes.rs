//! Forward and backward passes over a batch: cutting it into lanes and tasks.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::knots::{KnotGradients, Knots};
use super::{LANES, Lanes, Spline, bin};
use crate::tensor::cpu::{Element, filled};

/// Arguments with parameters of their own that one task handles.
const CHUNK: usize = 32 * LANES;

/// Rows that one task handles where the parameters are shared. It does not depend on the number of threads, so that the
/// order of summation does not either.
const ROWS: usize = 16 * LANES;

fn lanes<T: Element>() -> Lanes<T> {
    [T::ZERO; LANES]
}

/// Parameters by argument -> by lane; lanes beyond the last argument repeat it.
fn transpose<T: Element>(parameters: &[T], count: usize, raw: &mut [Lanes<T>]) {
    let arguments = parameters.len() / count;
    for lane in 0..LANES {
        let own = &parameters[lane.min(arguments - 1) * count..][..count];
        for (raw, &value) in raw.iter_mut().zip(own) {
            raw[lane] = value;
        }
    }
}

/// The first lanes hold `values`, the others 0.
fn load<T: Element>(values: &[T]) -> Lanes<T> {
    let mut lanes = lanes();
    lanes[..values.len()].copy_from_slice(values);
    lanes
}

fn store<T: Element>(lanes: &Lanes<T>, out: &mut [MaybeUninit<T>]) {
    for (out, &value) in out.iter_mut().zip(lanes) {
        out.write(value);
    }
}

/// Result and log-derivative, one after the other, for parameters `[arguments, P]`.
pub(super) fn forward<T: Element>(spline: &Spline, x: &[T], parameters: &[T]) -> Vec<T> {
    let count = spline.parameters();
    // SAFETY: both halves are cut like x, and `store` writes each piece.
    unsafe {
        filled(2 * x.len(), |out| {
            let (y, log) = out.split_at_mut(x.len());
            y.par_chunks_mut(CHUNK)
                .zip(log.par_chunks_mut(CHUNK))
                .zip(
                    x.par_chunks(CHUNK)
                        .zip(parameters.par_chunks(CHUNK * count)),
                )
                .for_each_init(
                    || (Knots::new(spline), vec![lanes(); count]),
                    |(knots, raw), ((y, log), (x, parameters))| {
                        let outputs = y.chunks_mut(LANES).zip(log.chunks_mut(LANES));
                        let inputs = x.chunks(LANES).zip(parameters.chunks(LANES * count));
                        for ((y, log), (x, parameters)) in outputs.zip(inputs) {
                            transpose(parameters, count, raw);
                            knots.set(spline, raw);
                            let (mut result, mut log_derivative) = (lanes(), lanes());
                            bin::evaluate(
                                spline,
                                knots,
                                &load(x),
                                &mut result,
                                &mut log_derivative,
                            );
                            store(&result, y);
                            store(&log_derivative, log);
                        }
                    },
                );
        })
    }
}

/// Gradients of x and of parameters `[arguments, P]`; `g` holds those of result and log-derivative.
pub(super) fn backward<T: Element>(
    spline: &Spline,
    x: &[T],
    parameters: &[T],
    g: &[T],
) -> [Vec<T>; 2] {
    if x.is_empty() {
        // Shared parameters have entries even without a row that uses them.
        return [Vec::new(), vec![T::ZERO; parameters.len()]];
    }
    let count = spline.parameters();
    assert_eq!(
        parameters.len(),
        x.len() * count,
        "parameters of each argument"
    );
    let (gy, glog) = g.split_at(x.len());
    let mut dx = Vec::new();
    // SAFETY (of both): `dx` is cut like x and `dp` like the parameters; `store` and the loop over lanes write each piece.
    let dp = unsafe {
        filled(parameters.len(), |dp| {
            dx = filled(x.len(), |dx| {
                dx.par_chunks_mut(CHUNK)
                    .zip(dp.par_chunks_mut(CHUNK * count))
                    .zip(
                        x.par_chunks(CHUNK)
                            .zip(parameters.par_chunks(CHUNK * count)),
                    )
                    .zip(gy.par_chunks(CHUNK).zip(glog.par_chunks(CHUNK)))
                    .for_each_init(
                        || {
                            (
                                Knots::new(spline),
                                KnotGradients::new(spline),
                                vec![lanes(); count],
                            )
                        },
                        |(knots, gradients, raw), (((dx, dp), (x, parameters)), (gy, glog))| {
                            let outputs = dx.chunks_mut(LANES).zip(dp.chunks_mut(LANES * count));
                            let inputs = x.chunks(LANES).zip(parameters.chunks(LANES * count));
                            let weights = gy.chunks(LANES).zip(glog.chunks(LANES));
                            for (((dx, dp), (x, parameters)), (gy, glog)) in
                                outputs.zip(inputs).zip(weights)
                            {
                                transpose(parameters, count, raw);
                                knots.set(spline, raw);
                                gradients.clear();
                                let mut gradient = lanes();
                                let weights = [&load(gy), &load(glog)];
                                bin::pull_back(
                                    spline,
                                    knots,
                                    &load(x),
                                    weights,
                                    &mut gradient,
                                    gradients,
                                );
                                knots.pull_back(spline, gradients, raw);
                                store(&gradient, dx);
                                for (lane, own) in dp.chunks_mut(count).enumerate() {
                                    for (own, raw) in own.iter_mut().zip(&*raw) {
                                        own.write(raw[lane]);
                                    }
                                }
                            }
                        },
                    );
            });
        })
    };
    [dx, dp]
}

/// The knots of each feature, in every lane.
fn shared_knots<T: Element>(spline: &Spline, parameters: &[T]) -> Vec<Knots<T>> {
    let count = spline.parameters();
    let mut raw = vec![lanes(); count];
    parameters
        .chunks_exact(count)
        .map(|own| {
            for (raw, &value) in raw.iter_mut().zip(own) {
                *raw = [value; LANES];
            }
            let mut knots = Knots::new(spline);
            knots.set(spline, &raw);
            knots
        })
        .collect()
}

/// Entries of feature `j` in up to [`LANES`] rows of `x`.
fn load_column<T: Element>(rows: &[T], features: usize, j: usize) -> Lanes<T> {
    let mut lanes = lanes();
    for (lane, row) in lanes.iter_mut().zip(rows.chunks_exact(features)) {
        *lane = row[j];
    }
    lanes
}

fn store_column<T: Element>(
    lanes: &Lanes<T>,
    rows: &mut [MaybeUninit<T>],
    features: usize,
    j: usize,
) {
    for (&lane, row) in lanes.iter().zip(rows.chunks_exact_mut(features)) {
        row[j].write(lane);
    }
}

/// [`forward`] for parameters `[D, P]` shared by the rows of x `[B, D]`.
pub(super) fn forward_shared<T: Element>(
    spline: &Spline,
    features: usize,
    x: &[T],
    parameters: &[T],
) -> Vec<T> {
    if features == 0 {
        return Vec::new();
    }
    let knots = shared_knots(spline, parameters);
    let step = LANES * features;
    // SAFETY: both halves are cut like x into whole rows, of which `store_column` writes each feature.
    unsafe {
        filled(2 * x.len(), |out| {
            let (y, log) = out.split_at_mut(x.len());
            let chunk = ROWS * features;
            y.par_chunks_mut(chunk)
                .zip(log.par_chunks_mut(chunk))
                .zip(x.par_chunks(chunk))
                .for_each(|((y, log), x)| {
                    for ((y, log), x) in y
                        .chunks_mut(step)
                        .zip(log.chunks_mut(step))
                        .zip(x.chunks(step))
                    {
                        for (j, knots) in knots.iter().enumerate() {
                            let (mut result, mut log_derivative) = (lanes(), lanes());
                            let argument = load_column(x, features, j);
                            bin::evaluate(
                                spline,
                                knots,
                                &argument,
                                &mut result,
                                &mut log_derivative,
                            );
                            store_column(&result, y, features, j);
                            store_column(&log_derivative, log, features, j);
                        }
                    }
                });
        })
    }
}

/// [`backward`] for parameters `[D, P]` shared by the rows of x `[B, D]`.
pub(super) fn backward_shared<T: Element>(
    spline: &Spline,
    features: usize,
    x: &[T],
    parameters: &[T],
    g: &[T],
) -> [Vec<T>; 2] {
    if features == 0 {
        return [Vec::new(), Vec::new()];
    }
    let knots = shared_knots(spline, parameters);
    let (gy, glog) = g.split_at(x.len());
    let (chunk, step) = (ROWS * features, LANES * features);
    let mut partial: Vec<Vec<KnotGradients<T>>> = Vec::new();
    // SAFETY: `dx` is cut like x into whole rows, of which `store_column` writes each feature.
    let dx = unsafe {
        filled(x.len(), |dx| {
            partial = dx
                .par_chunks_mut(chunk)
                .zip(x.par_chunks(chunk))
                .zip(gy.par_chunks(chunk).zip(glog.par_chunks(chunk)))
                .map(|((dx, x), (gy, glog))| {
                    let mut gradients: Vec<_> =
                        knots.iter().map(|_| KnotGradients::new(spline)).collect();
                    let weights = gy.chunks(step).zip(glog.chunks(step));
                    for ((dx, x), (gy, glog)) in
                        dx.chunks_mut(step).zip(x.chunks(step)).zip(weights)
                    {
                        for (j, (knots, gradients)) in knots.iter().zip(&mut gradients).enumerate()
                        {
                            let column = |rows: &[T]| load_column(rows, features, j);
                            let mut gradient = lanes();
                            let weights = [&column(gy), &column(glog)];
                            bin::pull_back(
                                spline,
                                knots,
                                &column(x),
                                weights,
                                &mut gradient,
                                gradients,
                            );
                            store_column(&gradient, dx, features, j);
                        }
                    }
                    gradients
                })
                .collect();
        })
    };
    let count = spline.parameters();
    let mut raw = vec![lanes(); count];
    let mut dp = Vec::with_capacity(parameters.len());
    for (j, knots) in knots.iter().enumerate() {
        let mut total = KnotGradients::new(spline);
        partial.iter().for_each(|partial| total.add(&partial[j]));
        knots.pull_back(spline, &total, &mut raw);
        dp.extend(
            raw.iter()
                .map(|lanes| lanes.iter().fold(T::ZERO, |sum, &value| sum + value)),
        );
    }
    [dx, dp]
}
