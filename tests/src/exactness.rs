//! What is asked of a simulation with moves, whatever the engine: its populations, and how often it changes its basin.

use std::path::Path;

use regflow::metric::{Basin, Estimate};
use regflow::system::{ReadOptions, Topology, Trajectory, TrajectoryWriter, torsion};

use crate::dipeptide;

/// phi and psi of alanine dipeptide.
pub const DIPEPTIDE_TORSIONS: [[usize; 4]; 2] = [[4, 6, 8, 10], [6, 8, 10, 16]];

/// Populations within three standard errors, both sides' errors counted.
pub fn assert_agree(what: &str, basins: &[Basin], found: &[Estimate], expected: &[Estimate]) {
    for ((basin, found), expected) in basins.iter().zip(found).zip(expected) {
        let error = found.error.hypot(expected.error);
        let name = &basin.name;
        assert!(
            error > 0.0 && (found.value - expected.value).abs() <= 3.0 * error,
            "{what}, {name}: {found:?}, expected {expected:?}"
        );
    }
}

/// How often two successive frames, `[frames, n_torsions]` of torsions in rad, are in different basins.
pub fn crossings(basins: &[Basin], n_torsions: usize, torsions: &[f64]) -> usize {
    let basin_of = |frame: &[f64]| basins.iter().position(|basin| basin.contains(frame));
    let visited: Vec<_> = torsions.chunks_exact(n_torsions).map(basin_of).collect();
    visited.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// One line: crossings and the seconds of computing of dynamics alone and with moves, and their ratio, at least.
pub fn compare(what: &str, alone: (usize, f64), moved: (usize, f64)) -> String {
    let rate = |(count, seconds): (usize, f64)| count as f64 / seconds;
    let bound = if alone.0 == 0 { "more than " } else { "" };
    let ratio = rate(moved) / rate((alone.0.max(1), alone.1));
    format!(
        "{what}: crossings in seconds: MD {} in {:.2}, MD + moves {} in {:.2}; {bound}{ratio:.0} times as many per second",
        alone.0, alone.1, moved.0, moved.1
    )
}

/// Writes one of the shipped frames of the dipeptide whose phi and psi are in a basin.
pub fn start_in(basin: &Basin, path: &Path) {
    let topology = Topology::read(&dipeptide("topology.pdb")).expect("the structure");
    let frames = Trajectory::open(
        &[dipeptide("trajectory.dcd")],
        &topology,
        &ReadOptions::default(),
    )
    .and_then(|mut trajectory| trajectory.read_all())
    .expect("the shipped frames");
    let inside =
        |frame: &&[f64]| basin.contains(&DIPEPTIDE_TORSIONS.map(|four| torsion(frame, four)));
    let mut frames = (0..frames.len()).map(|i| frames.frame(i));
    let frame = frames.find(inside).expect("a frame in the basin");
    let mut writer = TrajectoryWriter::create(path, &topology).expect("a PDB file");
    writer.write(frame).expect("the frame can be written");
    writer.finish().expect("the file can be written");
}
