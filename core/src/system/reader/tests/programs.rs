//! Files that other programs wrote: the first two frames of the fixture. Most are wrapped into a tilted cell.

use std::path::Path;

use crate::system::fixtures::{DATA, frames, topology};
use crate::system::{ReadOptions, Trajectory};

/// Files (of one trajectory), and how far the distance of two atoms along an axis may be off (nm): twice half the last digit of
/// positions up to 5 nm, and where f32 fractions or wrapping were involved a few times the rounding of f32 there (5e-7 nm). PDB rounds the angles of the
/// cell as well, to 0.005 degrees, which moves images by up to 6e-4 nm.
const FILES: [(&[&str], f64); 15] = [
    (&["mdanalysis.xtc"], 1.05e-3),
    (&["mdanalysis.trr"], 3e-6),
    (&["mdanalysis.dcd"], 3e-6),
    (&["mdanalysis.ncdf"], 3e-6),
    (&["mdanalysis.xyz"], 2e-6),
    (&["mdtraj.xtc"], 1.05e-3),
    (&["mdtraj.nc"], 3e-6),
    (&["mdtraj.pdb.gz"], 6e-4),
    (&["mdtraj.dcd"], 3e-6),
    (&["mdtraj.gro"], 1.05e-3),
    (&["mdtraj6.gro"], 4e-6),
    (&["ase.extxyz"], 1e-6),
    (&["openmm.dcd"], 1e-6),
    (&["openmm.pdb"], 1.05e-4),
    (&["lammps0.dcd", "lammps1.dcd"], 3e-6),
];

/// Six significant digits of up to 40 Angstrom, or of fractions of 33 Angstrom.
const LAMMPS: [&str; 3] = [
    "lammps_scaled.lammpstrj",
    "lammps_wrapped.lammpstrj",
    "lammps_unwrapped.lammpstrj",
];

#[test]
fn other_programs_files_hold_the_fixtures_frames() {
    let right = frames();
    let lammps = LAMMPS
        .iter()
        .map(|name| (std::slice::from_ref(name), 1.1e-5));
    for (names, error) in FILES.into_iter().chain(lammps) {
        let files: Vec<_> = names
            .iter()
            .map(|name| Path::new(DATA).join("programs").join(name))
            .collect();
        let mut trajectory =
            Trajectory::open(&files, &topology("aldp"), &ReadOptions::default()).unwrap();
        let found = trajectory.read_all().unwrap();
        assert_eq!(found.len(), 2, "{names:?}");
        for frame in 0..2 {
            let (a, b) = (found.frame(frame), right.frame(frame));
            for k in 0..66 {
                let off = a[k] - a[k % 3] - (b[k] - b[k % 3]);
                assert!(
                    off.abs() <= error,
                    "{names:?}, frame {frame}, number {k}: {off}"
                );
            }
        }
        assert_eq!(trajectory.warnings(), [""; 0], "{names:?}");
    }
}
