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

/// As in the program: without it, large tensors are mapped and unmapped for each operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Time of a call in seconds: the median, and the processor time of all threads (which tells more on a busy machine).
struct Times {
    wall: f64,
    processor: f64,
}

/// Processor time of this process in seconds (Linux; elsewhere 0).
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name: state is field 3, user and system time fields 14 and 15, in hundredths of a second.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Times a call for about a second.
fn time<R>(mut call: impl FnMut() -> Outcome<R>) -> Outcome<Times> {
    call()?;
    let (start, before) = (Instant::now(), processor());
    let mut times = Vec::new();
    while times.len() < 5 || start.elapsed().as_secs_f64() < 1.0 {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let processor = (processor() - before) / times.len() as f64;
    times.sort_by(f64::total_cmp);
    Ok(Times {
        wall: times[times.len() / 2],
        processor,
    })
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

/// A product of 2048 x 2048 matrices, in billions of operations per second and per second of processor time.
fn peak() -> Outcome<(f64, f64)> {
    let (a, b) = (normal(1.0, &[2048, 2048])?, normal(1.0, &[2048, 2048])?);
    let times = time(|| Ok(a.matmul(&b)?))?;
    let operations = 2.0 * 2048f64.powi(3) / 1e9;
    Ok((operations / times.wall, operations / times.processor))
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

    fn products(skip: usize) -> usize {
        Self::WIDTHS
            .windows(2)
            .skip(skip)
            .map(|pair| pair[0] * pair[1])
            .sum()
    }

    fn forward_operations(batch: usize) -> f64 {
        2.0 * (batch * Self::products(0)) as f64
    }

    /// Operations of forward and backward: three products each, but no gradient of x.
    fn operations(batch: usize) -> f64 {
        2.0 * (batch * (2 * Self::products(0) + Self::products(1))) as f64
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
    let (peak, peak_processor) = peak()?;
    let threads = rayon::current_num_threads();
    println!("matrix product 2048 x 2048 x 2048, {threads} threads: {peak:.0} GFLOP/s");
    println!("GFLOP per second of processor time: {peak_processor:.0}; \"share\" below is of this");

    println!(
        "\n{:<44}{:>6}{:>10}{:>16}{:>10}{:>8}",
        "", "batch", "ms", "processor ms", "GFLOP/s", "share"
    );
    let perceptron = Perceptron::new()?;
    for batch in [256, 1024, 4096] {
        let x = normal(1.0, &[batch, 33])?;
        let forward = time(|| perceptron.forward(&x))?;
        let step = time(|| Ok(perceptron.forward(&x)?.sqr()?.mean_all()?.backward()?))?;
        let rows = [
            (
                "perceptron, forward",
                forward,
                Perceptron::forward_operations(batch),
            ),
            (
                "perceptron, forward and backward",
                step,
                Perceptron::operations(batch),
            ),
        ];
        for (name, times, operations) in rows {
            println!(
                "{name:<44}{batch:>6}{:>10.3}{:>16.3}{:>10.0}{:>7.0}%",
                times.wall * 1e3,
                times.processor * 1e3,
                operations / times.wall / 1e9,
                100.0 * operations / times.processor / 1e9 / peak_processor
            );
        }
    }

    let (batch, features) = (1024, 30);
    println!("\nspline, {features} features, 8 bins");
    for (name, rows) in [("own", batch), ("shared", 1)] {
        let x = Var::from_tensor(&normal(2.0, &[batch, features])?)?;
        let parameters = Var::from_tensor(&normal(1.0, &[rows, features, 23])?)?;
        for (direction, inverse) in [("forward map", false), ("inverse map", true)] {
            let plain = (x.as_tensor().detach(), parameters.as_tensor().detach());
            let value = time(|| spline(inverse, &plain.0, &plain.1))?;
            let gradient = time(|| {
                let (y, log) = spline(inverse, &x, &parameters)?;
                Ok((y + log)?.sum_all()?.backward()?)
            })?;
            for (what, times) in [("value", value), ("value and gradient", gradient)] {
                let label = format!("{name} parameters, {direction}, {what}");
                let (wall, processor) = (times.wall * 1e3, times.processor * 1e3);
                let entry = times.processor * 1e9 / (batch * features) as f64;
                println!("{label:<52}{wall:>8.3}{processor:>10.3} ms{entry:>8.1} ns per entry");
            }
        }
    }
    Ok(())
}
