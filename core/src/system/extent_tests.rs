//! Tests of frame counting, on files whose every byte is known.

use super::super::fixtures::bare;
use super::super::{ReadOptions, SystemError, Trajectory, TrajectoryWriter};

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

#[test]
fn xyz_comments_that_chemfiles_never_ends_on() {
    let hydrogen = bare(&[1, 1], &[[0, 1]]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    for (comment, fine) in [
        ("energy = -1.5", true),
        (
            "Properties=species:S:1:pos:R:3 energy=-1.5 name=\"a = b\"",
            true,
        ),
        ("Properties=species:S:1:pos:R:3 energy = -1.5", false),
    ] {
        std::fs::write(&path, format!("2\n{comment}\nH 0 0 0\nH 0 0 0.74\n")).unwrap();
        let result = Trajectory::open(&[&path], &hydrogen, &ReadOptions::default())
            .unwrap()
            .read_all();
        assert_eq!(result.is_ok(), fine, "{comment}");
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
