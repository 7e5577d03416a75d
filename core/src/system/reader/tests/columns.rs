//! Columns, units and cells of text formats as the programs have them.

use super::make::{assert_frames, lammps, lines, read, text, tinker};
use crate::system::SystemError;
use crate::system::fixtures::frames;

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
