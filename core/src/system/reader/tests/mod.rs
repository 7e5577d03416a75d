//! Tests on files whose every byte is known.

mod columns;
mod flips;
mod make;
mod programs;
mod text;

use crate::system::fixtures::bare;
use crate::system::{ReadOptions, SystemError, Trajectory, TrajectoryWriter};

/// Positions (Angstrom) of atom `atom` of five in frame `frame`, exact in f32.
fn position(frame: usize, atom: usize, axis: usize) -> f32 {
    (atom * 3 + axis) as f32 * 0.25 + frame as f32 * 0.125
}

/// A DCD of three frames of five atoms, in any of its variants; atoms 1 and 3 may be fixed.
fn dcd(wide: bool, big: bool, cell: bool, fixed: bool) -> Vec<u8> {
    let int = |value: i32| {
        if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let record = |content: Vec<u8>| {
        let size = content.len();
        let marker = match (wide, big) {
            (false, _) => int(size as i32).to_vec(),
            (true, false) => (size as u64).to_le_bytes().to_vec(),
            (true, true) => (size as u64).to_be_bytes().to_vec(),
        };
        [marker.clone(), content, marker].concat()
    };
    let mut header = [0; 20];
    header[0] = 3;
    header[8] = if fixed { 2 } else { 0 };
    header[10] = i32::from(cell);
    header[19] = 24;
    let words: Vec<u8> = header.into_iter().flat_map(int).collect();
    let title = [int(1).to_vec(), vec![b' '; 80]].concat();
    let mut file = record([b"CORD".to_vec(), words].concat());
    file.extend(record(title));
    file.extend(record(int(5).to_vec()));
    if fixed {
        file.extend(record([1, 3, 5].into_iter().flat_map(int).collect()));
    }
    for frame in 0..3 {
        if cell {
            // a, gamma, b, beta, alpha, c
            let numbers = [20f64, 90.0, 20.0, 90.0, 90.0, 20.0];
            let bytes = numbers.map(|x| {
                if big {
                    x.to_be_bytes()
                } else {
                    x.to_le_bytes()
                }
            });
            file.extend(record(bytes.concat()));
        }
        for axis in 0..3 {
            let atoms = (0..5).filter(|atom| !fixed || frame == 0 || atom % 2 == 0);
            let bytes = atoms.map(|atom| position(frame, atom, axis));
            let bytes = bytes.flat_map(|x| {
                if big {
                    x.to_be_bytes()
                } else {
                    x.to_le_bytes()
                }
            });
            file.extend(record(bytes.collect()));
        }
    }
    file
}

#[test]
fn all_variants_of_dcd() {
    let chain = bare(&[6; 5], &[[0, 1], [1, 2], [2, 3], [3, 4]]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcd");
    for variant in 0..16 {
        let [wide, big, cell, fixed] = [1, 2, 4, 8].map(|bit| variant & bit != 0);
        let bytes = dcd(wide, big, cell, fixed);
        std::fs::write(&path, &bytes).unwrap();
        let read = || {
            Trajectory::open(&[&path], &chain, &ReadOptions::default())
                .unwrap()
                .read_all()
        };
        let frames = read().unwrap();
        assert_eq!(frames.len(), 3, "variant {variant}");
        for frame in 0..3 {
            for (k, &x) in frames.frame(frame).iter().enumerate() {
                let stored = if fixed && (k / 3) % 2 == 1 { 0 } else { frame };
                let expected = f64::from(position(stored, k / 3, k % 3)) * 0.1;
                assert!((x - expected).abs() < 1e-15, "variant {variant}");
            }
        }
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read().unwrap_err();
        assert!(
            matches!(error, SystemError::Truncated { frame: 2, .. }),
            "variant {variant}: {error}"
        );
    }
}

/// XTC stores up to nine atoms uncompressed.
#[test]
fn small_molecules_in_binary_formats() {
    let methane = bare(&[6, 1, 1, 1, 1], &[[0, 1], [0, 2], [0, 3], [0, 4]]);
    let positions: Vec<f64> = (0..45).map(|k| f64::from(k * k % 7) * 0.03).collect();
    let folder = tempfile::tempdir().unwrap();
    for extension in ["xtc", "trr", "dcd", "nc"] {
        let path = folder.path().join("a").with_extension(extension);
        let mut writer = TrajectoryWriter::create(&path, &methane).unwrap();
        writer.write(&positions).unwrap();
        writer.finish().unwrap();
        let read = || {
            Trajectory::open(&[&path], &methane, &ReadOptions::default())
                .unwrap()
                .read_all()
        };
        let found = read().unwrap().positions;
        assert!(
            found
                .iter()
                .zip(&positions)
                .all(|(a, b)| (a - b).abs() < 1e-7),
            "{extension}"
        );
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        let error = read().unwrap_err();
        assert!(
            matches!(error, SystemError::Truncated { frame: 2, .. }),
            "{extension}: {error}"
        );
    }
}

/// A TRR of frames in single or double precision, some without positions, as GROMACS writes with different intervals.
fn trr(double: bool, frames: &[bool]) -> Vec<u8> {
    let mut file = Vec::new();
    for (step, &has_positions) in frames.iter().enumerate() {
        let int = |file: &mut Vec<u8>, value: i32| file.extend(value.to_be_bytes());
        let real = |file: &mut Vec<u8>, value: f64| {
            if double {
                file.extend(value.to_be_bytes());
            } else {
                file.extend((value as f32).to_be_bytes());
            }
        };
        let width = if double { 8 } else { 4 };
        int(&mut file, 1993);
        int(&mut file, 13);
        int(&mut file, 12);
        file.extend(b"GMX_trn_file");
        let vectors = 15 * width;
        let x = if has_positions { vectors } else { 0 };
        for size in [
            0,
            0,
            9 * width,
            0,
            0,
            0,
            0,
            x,
            vectors,
            0,
            5,
            step as i32,
            0,
        ] {
            int(&mut file, size);
        }
        (0..2).for_each(|_| real(&mut file, 0.0));
        (0..9).for_each(|k| real(&mut file, if k % 4 == 0 { 2.0 } else { 0.0 }));
        if has_positions {
            for k in 0..15 {
                real(&mut file, f64::from(position(step, k / 3, k % 3)) * 0.1);
            }
        }
        (0..15).for_each(|_| real(&mut file, 9.0));
    }
    file
}

#[test]
fn frames_without_positions_are_left_out_and_counted() {
    let chain = bare(&[6; 5], &[[0, 1], [1, 2], [2, 3], [3, 4]]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.trr");
    for double in [false, true] {
        std::fs::write(&path, trr(double, &[true, false, true, false, false, true])).unwrap();
        let mut trajectory = Trajectory::open(&[&path], &chain, &ReadOptions::default()).unwrap();
        let found = trajectory.read_all().unwrap();
        assert_eq!(found.len(), 3);
        for (frame, step) in [0, 2, 5].into_iter().enumerate() {
            for (k, x) in found.frame(frame).iter().enumerate() {
                assert!((x - f64::from(position(step, k / 3, k % 3)) * 0.1).abs() < 1e-7);
            }
        }
        let [warning] = trajectory.warnings() else {
            panic!("{:?}", trajectory.warnings())
        };
        assert!(
            warning.contains("3 frames have no positions") && warning.contains("frame 1"),
            "{warning}"
        );
    }
    // They count as frames of the file.
    let every_fifth = ReadOptions {
        stride: 5,
        ..ReadOptions::default()
    };
    let mut trajectory = Trajectory::open(&[&path], &chain, &every_fifth).unwrap();
    assert_eq!(trajectory.read_all().unwrap().len(), 2);
    assert!(trajectory.warnings().is_empty());
    std::fs::write(&path, trr(false, &[false, false])).unwrap();
    let result = Trajectory::open(&[&path], &chain, &ReadOptions::default())
        .unwrap()
        .read_all();
    let error = result.unwrap_err();
    assert!(
        matches!(error, SystemError::NoPositions { frame: 0, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("velocities or forces only"),
        "{error}"
    );
}

#[test]
fn velocities_in_dcd_and_hdf5_are_told() {
    let chain = bare(&[6; 5], &[[0, 1], [1, 2], [2, 3], [3, 4]]);
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let result = Trajectory::open(&[&path], &chain, &ReadOptions::default())
            .unwrap()
            .read_all();
        result.unwrap_err().to_string()
    };
    let mut velocities = dcd(false, false, false, false);
    velocities[4..8].copy_from_slice(b"VELD");
    assert!(message("a.dcd", &velocities).contains("velocities"));
    let hdf5 = message("a.nc", b"\x89HDF\r\n\x1a\n and so on");
    assert!(hdf5.contains("nccopy") && hdf5.contains("a.nc"), "{hdf5}");
}

#[test]
fn files_of_positions_are_no_topologies() {
    for name in [
        "aldp.dcd",
        "programs/mdtraj.xtc",
        "programs/mdtraj.nc",
        "programs/velocities.trr",
    ] {
        let path = std::path::Path::new(crate::system::fixtures::DATA).join(name);
        let error = crate::system::Topology::read(&path)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("positions and no atoms") && error.contains(name),
            "{error}"
        );
    }
}

/// Coordinates of few and of many bits, and runs of atoms close to one another, as chemfiles compresses them.
#[test]
fn xtc_of_any_extent() {
    let chain = bare(&[6; 40], &(0..39).map(|k| [k, k + 1]).collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xtc");
    let options = ReadOptions {
        longest_bond: f64::INFINITY,
        ..ReadOptions::default()
    };
    // Fractional parts of multiples of irrational numbers: even, and the same everywhere.
    let spread = |k: usize, step: f64| (k as f64 * step).fract() - 0.5;
    for span in [0.01, 1.0, 30.0, 150.0, 2000.0] {
        for near in [0.0, 1e-4, 0.1, 1.0] {
            // Groups of four atoms, the groups as far apart as the span.
            let positions: Vec<f64> = (0..5 * 120)
                .map(|k| {
                    span * spread(k / 12, 0.618_034 + (k % 3) as f64 * 0.1)
                        + near * spread(k, 0.414_214)
                })
                .collect();
            let mut writer = TrajectoryWriter::create(&path, &chain).unwrap();
            writer.write(&positions).unwrap();
            writer.finish().unwrap();
            let found = Trajectory::open(&[&path], &chain, &options)
                .unwrap()
                .read_all()
                .unwrap();
            // Half a unit of the precision, and f32 before it.
            let error = 0.51e-5 + (span + near) * 1.2e-7;
            for (x, y) in found.positions.iter().zip(&positions) {
                assert!(
                    (x - y).abs() < error,
                    "span {span}, near {near}: {x} for {y}"
                );
            }
            assert_eq!(found.len(), 5);
        }
    }
}
