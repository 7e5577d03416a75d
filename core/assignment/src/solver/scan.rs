//! Vectorised passes over one row of the cost matrix.

use multiversion::multiversion;

/// Columns per group of [`group_minima`]; also the lanes of the reductions.
pub const GROUP: usize = 16;

/// `min_j cost[j] - v[j]` in double precision.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub fn min_reduced(cost: &[f32], v: &[f64]) -> f64 {
    let mut least = [f64::INFINITY; GROUP];
    let (costs, cost_tail) = cost.as_chunks::<GROUP>();
    let (vs, v_tail) = v.as_chunks::<GROUP>();
    for (c, v) in costs.iter().zip(vs) {
        for l in 0..GROUP {
            let x = f64::from(c[l]) - v[l];
            least[l] = if x < least[l] { x } else { least[l] };
        }
    }
    let tail = cost_tail
        .iter()
        .zip(v_tail)
        .map(|(&c, &v)| f64::from(c) - v);
    least.into_iter().chain(tail).fold(f64::INFINITY, f64::min)
}

/// `least[g] = min cost[j] - v[j]` over the columns of group `g`; `n.div_ceil(GROUP)` groups, the last may be partial.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
pub fn group_minima(cost: &[f32], v: &[f64], least: &mut [f64]) {
    let (costs, cost_tail) = cost.as_chunks::<GROUP>();
    let (vs, v_tail) = v.as_chunks::<GROUP>();
    for ((c, v), least) in costs.iter().zip(vs).zip(least.iter_mut()) {
        // A tree of comparisons, which becomes vector instructions.
        let x: [f64; GROUP] = std::array::from_fn(|l| f64::from(c[l]) - v[l]);
        let smaller = |a: f64, b: f64| if b < a { b } else { a };
        let x: [f64; 8] = std::array::from_fn(|l| smaller(x[l], x[l + 8]));
        let x: [f64; 4] = std::array::from_fn(|l| smaller(x[l], x[l + 4]));
        *least = smaller(smaller(x[0], x[2]), smaller(x[1], x[3]));
    }
    if let (false, Some(least)) = (cost_tail.is_empty(), least.get_mut(costs.len())) {
        let tail = cost_tail
            .iter()
            .zip(v_tail)
            .map(|(&c, &v)| f64::from(c) - v);
        *least = tail.fold(f64::INFINITY, f64::min);
    }
}
