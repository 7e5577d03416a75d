//! Files of the fixture's frames in text formats, and how they are read.

use std::fs;
use std::path::Path;

use crate::system::fixtures::{DATA, frames, topology};
use crate::system::{Frames, ReadOptions, SystemError, Topology, Trajectory};

/// The frames of the fixture in XYZ, with something behind each frame.
pub(super) fn xyz(comment: &str, between: &str) -> String {
    text(|frame, atoms| {
        format!(
            "{}\n{comment}\n{}{between}",
            atoms.len(),
            lines(frame, atoms, |_, name, x| {
                format!("{name} {:.7} {:.7} {:.7}", x[0], x[1], x[2])
            })
        )
    })
}

/// Frame by frame; positions in Angstrom.
pub(super) fn text(frame: impl Fn(&[f64], &[(String, String)]) -> String) -> String {
    let atoms: Vec<(String, String)> = topology("aldp")
        .atoms
        .iter()
        .map(|atom| (atom.name.clone(), atom.element.clone()))
        .collect();
    let all = frames();
    (0..all.len())
        .map(|index| {
            let positions: Vec<f64> = all.frame(index).iter().map(|x| 10.0 * x).collect();
            frame(&positions, &atoms)
        })
        .collect()
}

/// A line per atom, of its index, element and position.
pub(super) fn lines(
    positions: &[f64],
    atoms: &[(String, String)],
    line: impl Fn(usize, &str, &[f64]) -> String,
) -> String {
    let (points, _) = positions.as_chunks::<3>();
    atoms
        .iter()
        .zip(points)
        .enumerate()
        .map(|(index, (atom, x))| line(index, &atom.1, x) + "\n")
        .collect()
}

pub(super) fn gro(decimals: usize, velocities: bool, between: &str) -> String {
    let (width, more) = (decimals + 5, decimals + 1);
    text(|frame, atoms| {
        let body: String = frame
            .as_chunks::<3>()
            .0
            .iter()
            .enumerate()
            .map(|(index, x)| {
                let mut line = format!("{:5}{:<5}{:>5}{:5}", 1, "ALA", atoms[index].0, index + 1);
                line += &x.map(|x| format!("{:width$.decimals$}", 0.1 * x)).concat();
                if velocities {
                    line += &x.map(|x| format!("{:width$.more$}", 0.1 * x)).concat();
                }
                line + "\n"
            })
            .collect();
        format!(
            "title t= 0.0\n{:5}\n{body}   6.00000   6.00000   6.00000\n{between}",
            atoms.len()
        )
    })
}

pub(super) fn lammps(between: &str) -> String {
    text(|frame, atoms| {
        let body = lines(frame, atoms, |index, element, x| {
            format!(
                "{} {element} {:.7} {:.7} {:.7}",
                index + 1,
                x[0],
                x[1],
                x[2]
            )
        });
        format!(
            "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n22\nITEM: BOX BOUNDS ff ff ff\n0 0\n0 0\n0 0\nITEM: ATOMS id element x y z\n{body}{between}"
        )
    })
}

pub(super) fn tinker(between: &str) -> String {
    text(|frame, atoms| {
        let body = lines(frame, atoms, |index, element, x| {
            format!(
                "{:6}  {element}  {:.7} {:.7} {:.7}   {} 1 2",
                index + 1,
                x[0],
                x[1],
                x[2],
                7
            )
        });
        format!("   22  a title\n 60.0 60.0 60.0 90.0 90.0 90.0\n{body}{between}")
    })
}

pub(super) fn pdb(end: &str, model: bool, between: &str) -> String {
    let file = fs::read_to_string(Path::new(DATA).join("aldp.pdb")).unwrap();
    let records: Vec<&str> = file
        .lines()
        .filter(|line| line.starts_with("ATOM") || line.starts_with("HETATM"))
        .collect();
    text(|frame, _| {
        let mut text = String::from(if model {
            "MODEL        1\n"
        } else {
            "REMARK\n"
        });
        for (record, x) in records.iter().zip(frame.as_chunks::<3>().0) {
            text += &format!(
                "{}{:8.3}{:8.3}{:8.3}{}\n",
                &record[..30],
                x[0],
                x[1],
                x[2],
                &record[54..]
            );
        }
        text + end + between
    })
}

pub(super) fn read(name: &str, text: &str) -> Result<(Frames, Vec<String>), SystemError> {
    read_as(name, text, &topology("aldp"))
}

pub(super) fn read_as(
    name: &str,
    text: &str,
    topology: &Topology,
) -> Result<(Frames, Vec<String>), SystemError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let mut trajectory = Trajectory::open(&[path], topology, &ReadOptions::default())?;
    let frames = trajectory.read_all()?;
    Ok((frames, trajectory.warnings().to_vec()))
}

/// All five frames, within `error` (nm).
pub(super) fn assert_frames(name: &str, text: &str, error: f64) -> Vec<String> {
    let (found, warnings) =
        read(name, text).unwrap_or_else(|error| panic!("{name}: {error}\n{}", &text[..400]));
    assert_eq!(found.len(), 5, "{name}:\n{}", &text[..400]);
    for (k, (a, b)) in found.positions.iter().zip(&frames().positions).enumerate() {
        assert!(
            (a - b).abs() <= error,
            "{name}, number {k}: {a} for {b}\n{}",
            &text[..400]
        );
    }
    warnings
}
