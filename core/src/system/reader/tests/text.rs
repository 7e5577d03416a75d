//! What editors, shells and other programs do to text files: blank lines, line ends, comments, more digits.

use std::fs;
use std::path::Path;

use super::make::{assert_frames, gro, lammps, pdb, read, read_as, tinker, xyz};
use crate::system::fixtures::{DATA, bare, frames};
use crate::system::{ReadOptions, SystemError, Trajectory};

#[test]
fn blank_lines_comments_and_line_ends_change_nothing() {
    type Make = fn(&str) -> String;
    let formats: [(&str, Make, f64); 6] = [
        ("a.xyz", |between| xyz("frame", between), 1e-8),
        (
            "b.xyz",
            |between| {
                xyz(
                    "Lattice=\"60 0 0 0 60 0 0 0 60\" Properties=species:S:1:pos:R:3",
                    between,
                )
            },
            1e-8,
        ),
        ("a.gro", |between| gro(6, false, between), 0.6e-6),
        ("a.lammpstrj", lammps, 1e-8),
        ("a.arc", tinker, 1e-8),
        ("a.pdb", |between| pdb("ENDMDL\n", true, between), 0.51e-4),
    ];
    for (name, make, error) in formats {
        for between in ["", "\n", "  \t\n\n", "# comment\n"] {
            let text = make(between);
            assert!(assert_frames(name, &text, error).is_empty(), "{name}");
            assert!(
                assert_frames(name, &text.replace('\n', "\r\n"), error).is_empty(),
                "{name}"
            );
            assert!(
                assert_frames(name, &text.replace('\n', " \n"), error).is_empty(),
                "{name}"
            );
            assert!(
                assert_frames(name, &format!("\u{feff}{text}"), error).is_empty(),
                "{name}"
            );
        }
        let text = make("");
        let warnings = assert_frames(name, text.trim_end(), error);
        assert!(
            warnings
                .iter()
                .all(|warning| warning.contains("last line has no end"))
        );
        // Something that is no frame, in the middle: never a silent end. Records that PDB readers do not know are passed over.
        if name != "a.pdb" {
            let text = make("nonsense\n");
            let line = text.lines().position(|line| line == "nonsense").unwrap() + 1;
            let error = read(name, &text).unwrap_err().to_string();
            // GRO takes it for a title, and misses the count behind it.
            let shift = usize::from(name == "a.gro");
            assert!(
                error.contains(&format!("line {}", line + shift)),
                "{name}: {error}"
            );
            assert!(
                error.contains("frame 1") && error.contains("nonsense"),
                "{name}: {error}"
            );
        }
    }
}

/// Made by `bzip2` and `gzip` of the same file, in two pieces: such files are joined.
#[test]
fn packed_files_of_several_pieces() {
    let hydrogen = bare(&[1, 1], &[[0, 1]]);
    let path = |name: &str| Path::new(DATA).join("packed").join(name);
    for name in ["h2.xyz.gz", "h2.xyz.bz2"] {
        let read = |path: &Path| {
            Trajectory::open(&[path], &hydrogen, &ReadOptions::default())
                .unwrap()
                .read_all()
        };
        let found = read(&path(name)).unwrap();
        assert_eq!(found.len(), 4, "{name}");
        assert!((found.positions[23] - 0.074).abs() < 1e-15, "{name}");
        let folder = tempfile::tempdir().unwrap();
        let (cut, bytes) = (folder.path().join(name), fs::read(path(name)).unwrap());
        fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
        let error = read(&cut).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    for name in ["a.xyz.xz", "a.dcd.gz", "a.xtc.bz2", "a.trr.gz", "a.nc.gz"] {
        let error = read_as(name, "x", &hydrogen).unwrap_err().to_string();
        assert!(error.contains("unpack it first"), "{error}");
    }
}

#[test]
fn gro_of_any_precision() {
    for decimals in [3, 4, 5, 6, 7, 9] {
        let error = 0.51 * 10f64.powi(-(decimals as i32));
        for velocities in [false, true] {
            assert_frames("a.gro", &gro(decimals, velocities, ""), error);
        }
    }
}

#[test]
fn pdb_frames_end_in_any_way() {
    for (end, model) in [
        ("END\n", false),
        ("ENDMDL\n", true),
        ("TER\nENDMDL\n", true),
        ("END\n", true),
        ("", true),
    ] {
        assert_frames("a.pdb", &pdb(end, model, ""), 0.51e-4);
        assert_frames(
            "a.pdb",
            &(pdb(end, model, "") + "CONECT    1    2\nEND\n"),
            0.51e-4,
        );
    }
    // The atoms of alternate locations, of which topologies have the first.
    let models = pdb("ENDMDL\n", true, "");
    let doubled: String = models
        .lines()
        .map(|line| match line.get(12..16) {
            Some(" HA ") => {
                let at = |location: &str, x: &str| {
                    format!(
                        "{}{location}{}{x}{}\n",
                        &line[..16],
                        &line[17..30],
                        &line[38..]
                    )
                };
                at("A", &line[30..38]) + &at("B", "  99.999")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(doubled.lines().count() > models.lines().count());
    assert_frames("a.pdb", &doubled, 0.51e-4);
    // Cells that stand before the first model count for all of them.
    let cell = "CRYST1   60.000   60.000   60.000  90.00  90.00  90.00 P 1           1\n";
    assert_frames(
        "a.pdb",
        &(cell.to_owned() + &pdb("ENDMDL\n", true, "")),
        0.51e-4,
    );
}

#[test]
fn numbers_that_are_none_name_their_line() {
    let files = [
        ("a.xyz", xyz("", ""), "C 1"),
        ("a.gro", gro(3, false, ""), ""),
        ("a.pdb", pdb("ENDMDL\n", true, ""), ""),
        ("a.lammpstrj", lammps(""), ""),
        ("a.arc", tinker(""), ""),
    ];
    for (name, text, _) in files {
        // The x of some atom in the fourth frame, whose digits are replaced in place.
        let x = 10.0 * frames().frame(3)[3 * 7];
        let (number, scale) = match name {
            "a.gro" => (format!("{:8.3}", 0.1 * x), 8),
            "a.pdb" => (format!("{x:8.3}"), 8),
            _ => (format!("{x:.7}"), 9),
        };
        let at = text.match_indices(&number).last().unwrap().0;
        let line = text[..at].lines().count();
        for bad in ["********", "1.0d-3", "abc", "1,5"] {
            let replaced = format!("{}{bad:>scale$}{}", &text[..at], &text[at + number.len()..]);
            let error = read(name, &replaced).unwrap_err().to_string();
            assert!(
                error.contains(&format!("line {line}")) && error.contains(bad),
                "{name}: {error}"
            );
            assert!(error.contains("frame 3"), "{name}: {error}");
        }
        for bad in ["nan", "inf", "-inf"] {
            let replaced = format!("{}{bad:>scale$}{}", &text[..at], &text[at + number.len()..]);
            // GRO tells the width of a number by its points.
            let error = read(name, &replaced).unwrap_err();
            let told = matches!(
                error,
                SystemError::NonFinite {
                    frame: 3,
                    atom: 7,
                    axis: 0,
                    ..
                }
            );
            assert!(
                told || name == "a.gro" && error.to_string().contains("line"),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn other_numbers_of_atoms_name_the_frame() {
    for (name, text, count) in [
        ("a.xyz", xyz("", ""), "22\n"),
        ("a.gro", gro(3, false, ""), "   22\n"),
        ("a.lammpstrj", lammps(""), "22\n"),
    ] {
        let at = text.match_indices(&format!("\n{count}")).nth(2).unwrap().0 + 1;
        let less = format!(
            "{}{}{}",
            &text[..at],
            count.replace("22", "21"),
            &text[at + count.len()..]
        );
        let error = read(name, &less).unwrap_err();
        assert!(
            matches!(
                error,
                SystemError::AtomCount {
                    expected: 22,
                    found: 21,
                    frame: 2 | 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn molecules_behind_a_blank_line_are_not_lost() {
    let hydrogen = bare(&[1, 1], &[[0, 1]]);
    let molecule = "\n  program\n\n  2  1  0  0  0  0            999 V2000\n    0.0000    0.0000    0.0000 H   0  0\n    0.0000    0.0000    0.7400 H   0  0\n  1  2  1  0\nM  END\n$$$$\n";
    let text = format!("first{molecule}second{molecule}");
    assert_eq!(read_as("a.sdf", &text, &hydrogen).unwrap().0.len(), 2);
    match read_as(
        "a.sdf",
        &format!("first{molecule}\n\n\nsecond{molecule}"),
        &hydrogen,
    ) {
        Ok((frames, _)) => assert_eq!(frames.len(), 2),
        Err(error) => assert!(error.to_string().contains("a.sdf"), "{error}"),
    }
}
