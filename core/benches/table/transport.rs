//! Exact optimal transport between Gaussian points and points of two broad, unequal modes in 60 dimensions.

use std::ffi::{OsStr, OsString};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::Outcome;
use crate::measure::{Rival, Table, median_of_calls};
use crate::peer::Peer;

const DIMENSION: usize = 60;

fn points(n: usize) -> [Vec<f32>; 2] {
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
    [x0, x1]
}

pub fn rows(table: &mut Table) -> Outcome {
    for n in [1000, 4000] {
        let name = format!("optimal transport, {n} points");
        if !table.wants(&name) {
            continue;
        }
        let [x0, x1] = points(n);
        let folder = tempfile::tempdir()?;
        for (side, x) in [("x0", &x0), ("x1", &x1)] {
            let path = folder.path().join(format!("{side}-{n}.f32"));
            std::fs::write(path, bytemuck::cast_slice(x))?;
        }
        let arguments = [
            folder.path().as_os_str().to_owned(),
            DIMENSION.to_string().into(),
            n.to_string().into(),
        ];
        let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
        let mut peer = Peer::start("transport.py", &arguments)?;
        let mut mean = f64::NAN;
        let work = n.to_string();
        let name_of_peer = peer.as_ref().map(|peer| peer.name.clone());
        table.row(
            &name,
            || {
                median_of_calls(|| {
                    let solved = regflow_assignment::transport(&x0, &x1, &[false; DIMENSION])?;
                    mean = solved.cost / n as f64;
                    Ok(())
                })
            },
            Rival::of(&mut peer, &work, 1.0),
            &|_| name_of_peer.clone().unwrap_or_default(),
        )?;
        if let Some(peer) = &mut peer {
            let theirs = peer.turn(&work, std::time::Duration::ZERO)?.value;
            let theirs = theirs.ok_or("POT gave no distance")?;
            if (mean / theirs - 1.0).abs() > 1e-6 {
                return Err(format!("mean squared distance {mean}, by POT {theirs}").into());
            }
        }
    }
    Ok(())
}
