//! What editors, shells and other programs do to text files: blank lines, line ends, comments, more digits.

use std::fs;
use std::path::Path;

use super::super::super::fixtures::{DATA, bare, frames, topology};
use crate::system::{Frames, ReadOptions, SystemError, Topology, Trajectory};

/// The frames of the fixture in XYZ, with something behind each frame.
fn xyz(comment: &str, between: &str) -> String {
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
fn text(frame: impl Fn(&[f64], &[(String, String)]) -> String) -> String {
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
fn lines(
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

fn gro(decimals: usize, velocities: bool, between: &str) -> String {
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

fn lammps(between: &str) -> String {
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

fn tinker(between: &str) -> String {
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

fn pdb(end: &str, model: bool, between: &str) -> String {
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

fn read(name: &str, text: &str) -> Result<(Frames, Vec<String>), SystemError> {
    read_as(name, text, &topology("aldp"))
}

fn read_as(
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
fn assert_frames(name: &str, text: &str, error: f64) -> Vec<String> {
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
    let error = read_as("a.xyz.xz", "x", &hydrogen).unwrap_err().to_string();
    assert!(error.contains("unpack it first"), "{error}");
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
fn xyz_of_many_programs() {
    let with = |comment: &str, line: fn(usize, &str, &[f64]) -> String| {
        text(|frame, atoms| format!("22\n{comment}\n{}", lines(frame, atoms, line)))
    };
    fn plain(_: usize, element: &str, x: &[f64]) -> String {
        format!("{element} {:.7} {:.7} {:.7}", x[0], x[1], x[2])
    }
    fn forces_first(_: usize, element: &str, x: &[f64]) -> String {
        format!(
            "9.0 8.0 7.0 {:.7} {:.7} {:.7} {element} T",
            x[0], x[1], x[2]
        )
    }
    fn charges(_: usize, element: &str, x: &[f64]) -> String {
        let charge = [("H", 1), ("C", 6), ("N", 7), ("O", 8)]
            .into_iter()
            .find(|(symbol, _)| *symbol == element)
            .unwrap()
            .1;
        format!("{charge} {:.7} {:.7} {:.7}", x[0], x[1], x[2])
    }
    fn more(_: usize, element: &str, x: &[f64]) -> String {
        format!("{element} {:.7} {:.7} {:.7} -0.5 1 2 3", x[0], x[1], x[2])
    }
    fn numbered(index: usize, element: &str, x: &[f64]) -> String {
        format!(
            "{} {element} {:.7} {:.7} {:.7}",
            index + 1,
            x[0],
            x[1],
            x[2]
        )
    }
    fn bohr(_: usize, element: &str, x: &[f64]) -> String {
        let [x, y, z] = [x[0], x[1], x[2]].map(|x| x / 0.529_177_210_903);
        format!("{element} {x:.8} {y:.8} {z:.8}")
    }
    fn types(_: usize, element: &str, x: &[f64]) -> String {
        format!(
            "{} {:.7} {:.7} {:.7}",
            usize::from(element == "H") + 1,
            x[0],
            x[1],
            x[2]
        )
    }
    let texts = [
        with("energy = -1.5", plain),
        with(
            "Properties=species:S:1:pos:R:3 energy = -1.5 name=\"a = b\"",
            plain,
        ),
        with(
            "Properties=forces:R:3:pos:R:3:species:S:1:fixed:L:1",
            forces_first,
        ),
        with("Lattice=\"60 0 0 0 60 0 0 0 60\"", plain),
        with("", charges),
        with("Properties=Z:I:1:pos:R:3", charges),
        with("", more),
        with("", numbered),
        with(
            "# CELL(abcABC): 60 60 60 90 90 90 Step: 0 Bead: 0 positions{atomic_unit} cell{atomic_unit}",
            bohr,
        ),
        with("coordinates in bohr", bohr),
        with("", bohr).replace("22\n", "22 bohr\n"),
        with("Atoms. Timestep: 0", types),
        // Tinker's own files have the same extension.
        tinker("").replace(" 60.0 60.0 60.0 90.0 90.0 90.0\n", ""),
    ];
    for text in &texts {
        assert_frames("a.xyz", text, 1e-7);
    }
    assert_frames("a.extxyz", &texts[2], 1e-7);
    for (text, reason) in [
        (
            with("Properties=species:S:1:forces:R:3", plain),
            "no positions",
        ),
        (
            with("Properties=species:S:1:pos:R:3:forces:R:3", plain),
            "columns",
        ),
        (
            with(
                "# Step: 0 Bead: 0 forces{atomic_unit} cell{atomic_unit}",
                plain,
            ),
            "no positions",
        ),
        (with("Lattice=\"60 0 0 0 60 0\"", plain), "nine numbers"),
    ] {
        let error = read("a.xyz", &text).unwrap_err().to_string();
        // The columns are missed in the first line of an atom.
        let line = if reason == "columns" {
            "line 3"
        } else {
            "line 2"
        };
        assert!(error.contains(line) && error.contains(reason), "{error}");
    }
    // Nuclear charges that are not the topology's.
    let error = read("a.xyz", &with("", types)).unwrap_err();
    assert!(matches!(error, SystemError::Element { .. }), "{error}");
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

/// A tilted box, dumped in every way that LAMMPS has.
#[test]
fn lammps_boxes_and_columns() {
    let cell = [[30.0, 0.0, 0.0], [10.0, 28.0, 0.0], [6.0, 5.0, 32.0]];
    let origin = [-3.0, 2.0, -7.0];
    // xlo + min(0, xy, xz, xy + xz), xhi + max(0, ...), and so on.
    let bounds = "-3 43 10\n2 35 6\n-7 25 5\n";
    let dump = |columns: &str, unit: &str, length: f64| {
        let body = |frame: &[f64], atoms: &[(String, String)]| {
            let mut rows = Vec::new();
            for (index, x) in frame.as_chunks::<3>().0.iter().enumerate() {
                let r: [f64; 3] = std::array::from_fn(|k| x[k] - origin[k]);
                let z = r[2] / 32.0;
                let y = (r[1] - 5.0 * z) / 28.0;
                let s = [(r[0] - 10.0 * y - 6.0 * z) / 30.0, y, z];
                let image = s.map(f64::floor);
                let wrapped: [f64; 3] = std::array::from_fn(|k| {
                    x[k] - (0..3).map(|i| image[i] * cell[i][k]).sum::<f64>()
                });
                let value = |name: &str| match name {
                    "id" => format!("{}", index + 1),
                    "element" => atoms[index].1.clone(),
                    "fx" | "vy" => "99.5".to_owned(),
                    name => {
                        let axis = ["x", "y", "z"]
                            .iter()
                            .position(|axis| name.contains(axis))
                            .unwrap();
                        match name.replace(['x', 'y', 'z'], "").as_str() {
                            "" => format!("{:.9e}", wrapped[axis] * length),
                            "u" => format!("{:.9e}", x[axis] * length),
                            "s" => format!("{:.11}", s[axis] - image[axis]),
                            "su" => format!("{:.11}", s[axis]),
                            _ => format!("{}", image[axis] as i32),
                        }
                    }
                };
                rows.push(columns.split(' ').map(value).collect::<Vec<_>>().join(" ") + "\n");
            }
            rows.reverse();
            rows.swap(3, 9);
            let bounds: String = bounds
                .lines()
                .map(|line| {
                    line.split(' ')
                        .map(|x| format!("{:e} ", x.parse::<f64>().unwrap() * length))
                        .collect::<String>()
                        + "\n"
                })
                .collect();
            format!(
                "ITEM: UNITS\n{unit}\nITEM: TIME\n0.5\nITEM: TIMESTEP\n5\nITEM: NUMBER OF ATOMS\n22\nITEM: BOX BOUNDS xy xz yz pp pp pp\n{bounds}ITEM: ATOMS {columns}\n{}",
                rows.concat()
            )
        };
        text(body)
    };
    for columns in [
        "id xs ys zs",
        "id element x y z",
        "xu yu zu id",
        "vy id xsu ysu zsu",
        "fx zs ys xs iz iy ix id",
        "id x y z ix iy iz",
        "id xs x ys y zs z",
    ] {
        for (unit, length) in [
            ("real", 1.0),
            ("metal", 1.0),
            ("electron", 1.0 / 0.529_177_210_903),
            ("nano", 0.1),
            ("si", 1e-10),
        ] {
            let (found, _) = read("a.lammpstrj", &dump(columns, unit, length)).unwrap();
            for frame in 0..5 {
                let (a, b) = (found.frame(frame), frames());
                let b = b.frame(frame);
                for k in 0..66 {
                    // Molecules that were made whole may be in another image.
                    let (moved, right) = (a[k] - a[k % 3], b[k] - b[k % 3]);
                    assert!(
                        (moved - right).abs() < 2e-7,
                        "{columns} in {unit}: {moved} for {right}"
                    );
                }
            }
        }
    }
    let error = read("a.lammpstrj", &dump("id element vy fx", "real", 1.0))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no positions among the columns 'id element vy fx'"),
        "{error}"
    );
    // Without ids there is no telling.
    let (_, warnings) = read(
        "a.lammpstrj",
        &lammps("").replace("ATOMS id element", "ATOMS index element"),
    )
    .unwrap();
    assert!(warnings[0].contains("no atom ids"), "{warnings:?}");
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

/// Numbers in columns that touch one another, and cells that only their number tells.
#[test]
fn amber_text_files() {
    let columns = |frame: &[f64], width: usize, decimals: usize, per_line: usize| {
        let lines = frame.chunks(per_line).map(|line| {
            let numbers: String = line
                .iter()
                .map(|x| format!("{x:width$.decimals$}"))
                .collect();
            numbers + "\n"
        });
        lines.collect::<String>()
    };
    for cell in ["", "  60.000  60.000  60.000\n"] {
        let mdcrd = "title\n".to_owned() + &text(|frame, _| columns(frame, 8, 3, 10) + cell);
        assert!(assert_frames("a.mdcrd", &mdcrd, 0.51e-4).is_empty());
        assert_frames("a.mdcrd", &(mdcrd.clone() + "\n\n"), 0.51e-4);
        // A line less in the middle.
        let mut lines: Vec<&str> = mdcrd.lines().collect();
        lines.remove(9);
        let error = read("a.mdcrd", &(lines.join("\n") + "\n"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line ") && error.contains("a.mdcrd"),
            "{error}"
        );
        let cell = cell.replace("60.000", "60.0000000");
        for velocities in [false, true] {
            let first: Vec<f64> = frames().frame(0).iter().map(|x| 10.0 * x).collect();
            let body = columns(&first, 12, 7, 6);
            let again = if velocities { body.as_str() } else { "" };
            let (found, _) = read(
                "a.rst7",
                &format!("title\n   22  0.0000000e+00\n{body}{again}{cell}"),
            )
            .unwrap();
            assert_eq!(found.len(), 1);
            for (a, b) in found.positions.iter().zip(frames().frame(0)) {
                assert!((a - b).abs() < 1e-8);
            }
        }
    }
    let error = read("a.mdcrdx", "x").unwrap_err().to_string();
    assert!(
        [".mdcrd", ".extxyz", ".xtc", ".tng"]
            .iter()
            .all(|known| error.contains(known)),
        "{error}"
    );
}
