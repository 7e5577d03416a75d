//! Speed of the operation table on the CPU: a step (forward and backward) of a residual multilayer perceptron and of a
//! rational-quadratic spline, beside the measured speed of one large matrix product.
//!
//! `cargo bench -p regflow --bench tensor [-- THREADS]`

use std::error::Error;
use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use regflow::tensor;
use regflow_plugin::abi::op::{self, key};
use regflow_plugin::abi::{ATTR_FLOAT, ATTR_INTS, Attr};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Median time of a call in seconds, over about half a second.
fn seconds<R>(mut call: impl FnMut() -> Outcome<R>) -> Outcome<f64> {
    call()?;
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || start.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn int(key: u32, value: &i64) -> Attr {
    Attr {
        key,
        kind: ATTR_INTS,
        float: 0.0,
        ints: value,
        len: 1,
    }
}

fn float(key: u32, value: f64) -> Attr {
    Attr {
        key,
        kind: ATTR_FLOAT,
        float: value,
        ints: std::ptr::null(),
        len: 0,
    }
}

fn one(code: u32, inputs: &[&Tensor], attributes: &[Attr]) -> Outcome<Tensor> {
    let mut outputs = tensor::apply(code, inputs, attributes)?;
    outputs.pop().ok_or_else(|| "no output".into())
}

fn normal(deviation: f32, shape: &[usize]) -> Outcome<Tensor> {
    Ok(Tensor::randn(0f32, deviation, shape, &Device::Cpu)?)
}

/// Billions of floating-point operations per second of a product of 2048 x 2048 matrices.
fn peak() -> Outcome<f64> {
    let (a, b) = (normal(1.0, &[2048, 2048])?, normal(1.0, &[2048, 2048])?);
    Ok(2.0 * 2048f64.powi(3) / seconds(|| Ok(a.matmul(&b)?))? / 1e9)
}

/// `33 -> 256, h + f(h), 256 -> 66` with SiLU.
struct Perceptron {
    layers: Vec<(Var, Var)>,
}

impl Perceptron {
    const WIDTHS: [usize; 4] = [33, 256, 256, 66];

    fn new() -> Outcome<Self> {
        let layers = Self::WIDTHS
            .windows(2)
            .map(|pair| {
                let weight = normal((1.0 / pair[0] as f32).sqrt(), pair)?;
                let bias = Tensor::zeros(pair[1], DType::F32, &Device::Cpu)?;
                Ok((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?))
            })
            .collect::<Outcome<_>>()?;
        Ok(Perceptron { layers })
    }

    fn forward(&self, x: &Tensor) -> Outcome<Tensor> {
        let dense = |x: &Tensor, layer: usize, activation: u32| {
            let (weight, bias) = &self.layers[layer];
            let activation = i64::from(activation);
            one(
                op::DENSE,
                &[x, weight, bias],
                &[int(key::ACTIVATION, &activation)],
            )
        };
        let h = dense(x, 0, op::ACTIVATION_SILU)?;
        let h = one(op::ADD, &[&h, &dense(&h, 1, op::ACTIVATION_SILU)?], &[])?;
        dense(&h, 2, op::ACTIVATION_NONE)
    }

    /// Operations of forward and backward: three products each, but no gradient of x.
    fn operations(batch: usize) -> f64 {
        let products = |skip: usize| -> usize {
            Self::WIDTHS
                .windows(2)
                .skip(skip)
                .map(|pair| pair[0] * pair[1])
                .sum()
        };
        2.0 * batch as f64 * (2 * products(0) + products(1)) as f64
    }
}

fn spline(inverse: bool, x: &Tensor, parameters: &Tensor) -> Outcome<(Tensor, Tensor)> {
    let (bins, inverse) = (8, i64::from(inverse));
    let attributes = [
        float(key::LOWER, -5.0),
        float(key::UPPER, 5.0),
        int(key::BINS, &bins),
        int(key::INVERSE, &inverse),
        float(key::MIN_BIN, 1e-3),
        float(key::MIN_SLOPE, 1e-3),
    ];
    match &*tensor::apply(op::RQ_SPLINE, &[x, parameters], &attributes)? {
        [y, log] => Ok((y.clone(), log.clone())),
        _ => Err("a spline has two outputs".into()),
    }
}

fn main() -> Outcome<()> {
    if let Some(threads) = std::env::args()
        .nth(1)
        .and_then(|threads| threads.parse().ok())
    {
        tensor::set_threads(threads)?;
    }
    let peak = peak()?;
    println!(
        "matrix product 2048 x 2048 x 2048: {peak:.0} GFLOP/s, {} threads",
        rayon::current_num_threads()
    );

    println!(
        "\n{:<34}{:>8}{:>12}{:>12}{:>8}",
        "step", "batch", "ms", "GFLOP/s", "share"
    );
    let perceptron = Perceptron::new()?;
    for batch in [256, 1024, 4096] {
        let x = normal(1.0, &[batch, 33])?;
        let forward = seconds(|| perceptron.forward(&x))?;
        let step = seconds(|| Ok(perceptron.forward(&x)?.sqr()?.mean_all()?.backward()?))?;
        let rate = Perceptron::operations(batch) / step / 1e9;
        println!(
            "{:<34}{batch:>8}{:>12.3}",
            "perceptron, forward",
            forward * 1e3
        );
        println!(
            "{:<34}{batch:>8}{:>12.3}{rate:>12.0}{:>7.0}%",
            "perceptron, forward and backward",
            step * 1e3,
            100.0 * rate / peak
        );
    }

    println!(
        "\n{:<34}{:>8}{:>12}{:>12}",
        "spline, D = 30, K = 8", "batch", "ms", "ns/entry"
    );
    let batch = 1024;
    for (name, rows) in [("own parameters", batch), ("shared parameters", 1)] {
        let x = Var::from_tensor(&normal(2.0, &[batch, 30])?)?;
        let parameters = Var::from_tensor(&normal(1.0, &[rows, 30, 23])?)?;
        for (direction, inverse) in [("forward map", false), ("inverse map", true)] {
            let plain = (x.as_tensor().detach(), parameters.as_tensor().detach());
            let forward = seconds(|| spline(inverse, &plain.0, &plain.1))?;
            let step = seconds(|| {
                let (y, log) = spline(inverse, &x, &parameters)?;
                Ok((y + log)?.sum_all()?.backward()?)
            })?;
            for (what, time) in [("value", forward), ("value and gradient", step)] {
                let label = format!("{name}, {direction}, {what}");
                println!(
                    "{label:<52}{:>10.3}{:>10.1}",
                    time * 1e3,
                    time * 1e9 / (batch * 30) as f64
                );
            }
        }
    }
    Ok(())
}
