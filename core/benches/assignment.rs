//! Exact assignment of `n` Gaussian points to `n` points of two broad, unequal modes in 60 dimensions; one JSON line per
//! size, as a Python script with POT (`ot.dist`, `ot.emd2`) on the same points prints it.
//!
//!     cargo bench -p regflow --bench assignment -- 2000 10000
//!     REGFLOW_BENCH_POINTS=FOLDER cargo bench -p regflow --bench assignment   # also writes the points, for the peer
//!
//! With the variable set, `x0-N.f32` and `x1-N.f32` (row-major, native byte order) are written to the folder, so that
//! `numpy.fromfile(..., dtype="f4").reshape(n, 60)` gives the very same points.

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const DIMENSION: usize = 60;

fn points(n: usize) -> (Vec<f32>, Vec<f32>) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut normal = || random.sample::<f64, _>(StandardNormal);
    let x0 = (0..n * DIMENSION).map(|_| normal() as f32).collect();
    let mut x1 = Vec::with_capacity(n * DIMENSION);
    for _ in 0..n {
        let shift = 2.0 * normal().signum();
        for k in 0..DIMENSION {
            let scale = 0.1 + 1.9 * k as f64 / (DIMENSION - 1) as f64;
            x1.push((scale * normal() + shift) as f32);
        }
    }
    (x0, x1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes.push(2000);
    }
    for n in sizes {
        let (x0, x1) = points(n);
        if let Some(folder) = std::env::var_os("REGFLOW_BENCH_POINTS") {
            let folder = std::path::Path::new(&folder);
            std::fs::write(
                folder.join(format!("x0-{n}.f32")),
                bytemuck::cast_slice(&x0),
            )?;
            std::fs::write(
                folder.join(format!("x1-{n}.f32")),
                bytemuck::cast_slice(&x1),
            )?;
        }
        let start = Instant::now();
        let solved = regflow_ot::transport(&x0, &x1, &[false; DIMENSION])?;
        println!(
            "{{\"program\": \"regflow\", \"n\": {n}, \"seconds\": {:.3}, \"mean_squared_distance\": {}, \"relative_gap\": {:e}}}",
            start.elapsed().as_secs_f64(),
            solved.cost / n as f64,
            solved.relative_gap()
        );
    }
    Ok(())
}
