//! Tests of files that are cut, damaged, broken or none.

use std::fs;

use super::tests::{damaged, lammps_dump, read, read_with, write};
use super::*;
use crate::system::fixtures::{dipeptide_path, frames, topology};

/// Cuts at several places in the fourth and the last frame: the error names file and frame, and the frames before it can be
/// had.
#[test]
fn truncated_files_name_the_frame() {
    let folder = tempfile::tempdir().unwrap();
    let all = frames();
    let dump = folder.path().join("a.lammpstrj");
    fs::write(&dump, lammps_dump(false, [1000.0; 3])).unwrap();
    for extension in ["dcd", "trr", "nc", "xtc", "pdb", "gro", "xyz", "lammpstrj"] {
        let path = folder.path().join(format!("a.{extension}"));
        if extension != "lammpstrj" {
            write(&path, &all);
        }
        let whole = fs::read(&path).unwrap();
        // The last byte of what a file of `n` frames needs.
        let end = |n: usize| {
            if extension == "lammpstrj" {
                let starts = String::from_utf8(whole.clone()).unwrap();
                return starts
                    .match_indices("ITEM: TIMESTEP")
                    .nth(n)
                    .map_or(whole.len(), |found| found.0);
            }
            let part = folder.path().join(format!("part.{extension}"));
            write(
                &part,
                &Frames {
                    n_atoms: 22,
                    positions: all.positions[..66 * n].to_vec(),
                },
            );
            let tail = if extension == "pdb" {
                fs::read_to_string(&part).unwrap().rfind("ENDMDL").unwrap()
            } else {
                0
            };
            if extension == "pdb" {
                tail + 7
            } else {
                fs::metadata(&part).unwrap().len() as usize
            }
        };
        for frame in [1, 3, 4] {
            let (start, stop) = (end(frame), end(frame + 1));
            for cut in [start + 60, (start + stop) / 2, stop - 120] {
                let cut_path = folder.path().join(format!("cut.{extension}"));
                fs::write(&cut_path, &whole[..cut]).unwrap();
                let error = read(&cut_path).unwrap_err();
                let SystemError::Truncated {
                    path, frame: found, ..
                } = &error
                else {
                    panic!("{extension}: {error}")
                };
                assert_eq!(
                    (path, *found),
                    (&cut_path, frame),
                    "{extension} cut at {cut} of {start}..{stop}: {error}"
                );
                let mut trajectory =
                    Trajectory::open(&[&cut_path], &topology("aldp"), &damaged()).unwrap();
                assert_eq!(trajectory.read_all().unwrap().len(), frame, "{extension}");
                assert!(
                    trajectory
                        .warnings()
                        .iter()
                        .any(|w| w.contains(&format!("frame {frame}"))),
                    "{extension}"
                );
            }
        }
        // Cut exactly between frames: text formats cannot know.
        let cut_path = folder.path().join(format!("between.{extension}"));
        fs::write(&cut_path, &whole[..end(3)]).unwrap();
        let promised = ["dcd", "nc"].contains(&extension);
        match read(&cut_path) {
            Ok(found) => assert!(!promised && found.len() == 3, "{extension}"),
            Err(error) => assert!(
                promised && error.to_string().contains("frame 3"),
                "{extension}: {error}"
            ),
        }
        // Cut within the first frame or the header: no frame to save.
        fs::write(&cut_path, &whole[..end(1) / 2]).unwrap();
        assert!(read(&cut_path).is_err(), "{extension}");
        assert!(read_with(&cut_path, &damaged()).is_err(), "{extension}");
    }
}

#[test]
fn a_missing_line_end_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    write(&path, &frames());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let mut trajectory =
        Trajectory::open(&[&path], &topology("aldp"), &ReadOptions::default()).unwrap();
    assert_eq!(trajectory.read_all().unwrap().len(), 5);
    assert!(trajectory.warnings()[0].contains("last line has no end"));
}

#[test]
fn damage_in_one_file_keeps_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.dcd"), folder.path().join("b.dcd"));
    write(&first, &frames());
    write(&second, &frames());
    let whole = fs::read(&first).unwrap();
    fs::write(&first, &whole[..whole.len() - 700]).unwrap();
    let found = Trajectory::open(&[&first, &second], &topology("aldp"), &damaged())
        .unwrap()
        .read_all()
        .unwrap();
    assert_eq!(
        found.positions,
        [&frames().positions[..66 * 2], &frames().positions].concat()
    );
}

#[test]
fn a_header_that_was_never_updated_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcd");
    let mut bytes = fs::read(dipeptide_path()).unwrap();
    bytes[8..12].copy_from_slice(&0i32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&path).unwrap(), frames());
}

#[test]
fn numbers_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, name) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let path = folder.path().join("a.dcd");
        let mut file = fs::read(dipeptide_path()).unwrap();
        // Frame 2, y of atom 7.
        let at = 116 + 7 * 96 + 4 + 4 * 7;
        file[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
        fs::write(&path, file).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("frame 2: coordinate y of atom 7") && error.contains(name),
            "{error}"
        );
        assert!(error.contains("a.dcd"), "{error}");
    }
}

#[test]
fn frames_without_positions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcd");
    write(
        &path,
        &Frames {
            n_atoms: 22,
            positions: vec![0.0; 66],
        },
    );
    let error = read(&path).unwrap_err();
    assert!(
        matches!(error, SystemError::NoPositions { frame: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("at one point"), "{error}");
}

#[test]
fn a_range_without_frames_tells_how_many_there_are() {
    let path = dipeptide_path();
    for (start, stop, available) in [(5, Some(3), 10), (3, Some(3), 10), (20, None, 10)] {
        let options = ReadOptions {
            start,
            stop,
            ..ReadOptions::default()
        };
        let mut trajectory =
            Trajectory::open(&[&path, &path], &topology("aldp"), &options).unwrap();
        let error = trajectory.read_all().unwrap_err().to_string();
        assert!(
            error.contains(&format!("({available} frames in all)")),
            "{error}"
        );
    }
}

#[test]
fn broken_molecules_are_mended_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lammpstrj");
    // Wrapped into a cell, then the cell taken away.
    let wrapped = lammps_dump(false, [15.0; 3]);
    // Without a volume, and between walls.
    let changes = [("0.0 15\n", "0.0 0.0\n"), ("pp pp pp", "ff fs sm")];
    for text in changes.map(|(old, new)| wrapped.replace(old, new)) {
        fs::write(&path, &text).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            matches!(error, SystemError::BrokenMolecule { frame: 0, .. }),
            "{error}"
        );
    }
    // A placeholder cell is ignored.
    let path = folder.path().join("b.lammpstrj");
    let dump = lammps_dump(false, [1000.0; 3]).replace("0.0 1000\n", "0.0 1.0\n");
    fs::write(&path, dump).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("too small to be one"), "{error}");
    let lenient = ReadOptions {
        longest_bond: f64::INFINITY,
        ..ReadOptions::default()
    };
    let mut trajectory = Trajectory::open(&[&path], &topology("aldp"), &lenient).unwrap();
    assert_eq!(trajectory.read_all().unwrap().len(), 5);
    assert!(trajectory.warnings()[0].contains("cell"));
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let message = |path: &Path| read(path).unwrap_err().to_string();
    assert!(message(&at("none.dcd")).contains("none.dcd"));
    fs::write(at("empty.dcd"), "").unwrap();
    assert!(message(&at("empty.dcd")).contains("is empty"));
    assert!(message(folder.path()).contains("not a regular file"));
    for extension in [
        "dcd",
        "xtc",
        "trr",
        "nc",
        "pdb",
        "xyz",
        "gro",
        "lammpstrj",
        "tng",
        "mol2",
        "cif",
    ] {
        for junk in [
            &b"this is not a trajectory\n"[..],
            &[0xff; 4096],
            &[0; 4096],
            &[84, 0, 0, 0, b'C', b'O', b'R', b'D'],
        ] {
            let path = at(&format!("junk.{extension}"));
            fs::write(&path, junk).unwrap();
            let error = message(&path);
            assert!(error.contains("junk"), "{extension}: {error}");
        }
    }
    fs::write(at("a.docx"), "x").unwrap();
    let error = message(&at("a.docx"));
    assert!(
        error.contains(".xtc") && error.contains("a.docx"),
        "{error}"
    );
}
