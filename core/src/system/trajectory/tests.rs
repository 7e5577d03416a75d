//! Tests of reading and writing trajectories, over all formats that can be written here.

use std::fs;

use super::*;
use crate::system::TrajectoryWriter;
use crate::system::fixtures::{DATA, dipeptide_path, frames, reference, topology};

/// Extension and rounding error (nm) of formats that hold several frames: float32 (of up to 1 nm), XTC at 1e-5 nm, three
/// decimals of an Angstrom (PDB) and of a nm (GRO), seven decimals of an Angstrom.
const FORMATS: [(&str, f64); 14] = [
    ("dcd", 1e-7),
    ("trr", 1e-7),
    ("nc", 1e-7),
    ("xtc", 0.6e-5),
    ("pdb", 0.51e-4),
    ("gro", 0.51e-3),
    ("xyz", 0.51e-8),
    ("XYZ", 0.51e-8),
    ("xyz.gz", 0.51e-8),
    ("xyz.bz2", 0.51e-8),
    ("extxyz", 0.51e-8),
    ("lammpstrj", 0.51e-8),
    ("lammpstrj.gz", 0.51e-8),
    ("pdb.gz", 0.51e-4),
];

pub(super) fn write(path: &Path, frames: &Frames) {
    let mut writer = TrajectoryWriter::create(path, &topology("aldp")).unwrap();
    writer.write(&frames.positions).unwrap();
    writer.finish().unwrap();
}

pub(super) fn read_with(path: &Path, options: &ReadOptions) -> Result<Frames, SystemError> {
    Trajectory::open(&[path], &topology("aldp"), options)?.read_all()
}

pub(super) fn read(path: &Path) -> Result<Frames, SystemError> {
    read_with(path, &ReadOptions::default())
}

pub(super) fn damaged() -> ReadOptions {
    ReadOptions {
        accept_damaged: true,
        ..ReadOptions::default()
    }
}

fn listing(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A LAMMPS dump of the fixture, atoms in reverse order, optionally with elements.
pub(super) fn lammps_dump(elements: bool, cell: [f64; 3]) -> String {
    let (frames, topology) = (frames(), topology("aldp"));
    let mut text = String::new();
    for frame in 0..frames.len() {
        let bounds: String = cell
            .iter()
            .map(|length| format!("0.0 {length}\n"))
            .collect();
        text += &format!(
            "ITEM: TIMESTEP\n{frame}\nITEM: NUMBER OF ATOMS\n22\nITEM: BOX BOUNDS pp pp pp\n{bounds}"
        );
        text += if elements {
            "ITEM: ATOMS id type element x y z\n"
        } else {
            "ITEM: ATOMS id type x y z\n"
        };
        for atom in (0..22).rev() {
            let x = &frames.frame(frame)[3 * atom..3 * atom + 3];
            let element = if elements {
                topology.atoms[atom].element.clone() + " "
            } else {
                String::new()
            };
            // Wrapped into the cell, as LAMMPS does.
            let [x, y, z] = [0, 1, 2].map(|axis| (10.0 * x[axis]).rem_euclid(cell[axis]));
            text += &format!("{} 1 {element}{x:.6} {y:.6} {z:.6}\n", atom + 1);
        }
    }
    text
}

#[test]
fn the_fixture_holds_the_stored_numbers() {
    let bytes = fs::read(dipeptide_path()).unwrap();
    let frames = frames();
    assert_eq!((frames.len(), frames.n_atoms), (5, 22));
    for frame in 0..5 {
        for axis in 0..3 {
            for atom in 0..22 {
                let at = 116 + (3 * frame + axis) * 96 + 4 + 4 * atom;
                let stored = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
                assert_eq!(
                    frames.frame(frame)[3 * atom + axis],
                    f64::from(stored) * 0.1
                );
            }
        }
    }
}

#[test]
fn every_format_comes_back_within_its_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let frames = frames();
    for (extension, error) in FORMATS {
        let path = folder.path().join("a.b").with_extension(extension);
        write(&path, &frames);
        let mut trajectory =
            Trajectory::open(&[&path], &topology("aldp"), &ReadOptions::default()).unwrap();
        let found = trajectory.read_all().unwrap();
        assert_eq!(found.len(), 5, "{extension}");
        let largest = found
            .positions
            .iter()
            .zip(&frames.positions)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(largest <= error, "{extension}: {largest}");
        assert_eq!(trajectory.warnings(), [""; 0], "{extension}");
    }
    assert_eq!(
        listing(folder.path()).len(),
        FORMATS.len(),
        "no temporary files are left"
    );
}

#[test]
fn a_written_pdb_is_a_topology_and_dcd_keeps_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pdb");
    write(&path, &frames());
    assert_eq!(Topology::read(&path).unwrap(), topology("aldp"));
    let path = folder.path().join("a.dcd");
    write(&path, &frames());
    assert_eq!(read(&path).unwrap(), frames());
}

#[test]
fn lammps_dumps_are_read_and_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.lammpstrj");
    for elements in [false, true] {
        fs::write(&path, lammps_dump(elements, [16.0, 17.0, 18.0])).unwrap();
        let found = read(&path).unwrap();
        for frame in 0..5 {
            let (a, b) = (found.frame(frame), frames());
            let b = b.frame(frame);
            for k in 0..66 {
                // Differences to the first atom: six decimals of an Angstrom each, twice.
                assert!((a[k] - a[k % 3] - (b[k] - b[k % 3])).abs() < 1.1e-7);
            }
        }
    }
    // A dump of a group keeps the ids of the whole system.
    let group = lammps_dump(false, [16.0; 3]).replace("\n22 1 ", "\n522 1 ");
    fs::write(&path, &group).unwrap();
    assert_eq!(read(&path).unwrap().len(), 5);
    for (id, found) in [("21", "atom id 21 twice"), ("523", "atom id 523 where")] {
        // In the fourth frame.
        let at = group.match_indices("\n522 1 ").nth(3).unwrap().0;
        let text = format!("{}\n{id} 1 {}", &group[..at], &group[at + 7..]);
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            matches!(error, SystemError::Truncated { frame: 3, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(found), "{error}");
    }
    let lj = format!("ITEM: UNITS\nlj\n{}", lammps_dump(false, [16.0; 3]));
    fs::write(&path, lj).unwrap();
    assert!(matches!(read(&path), Err(SystemError::Units { .. })));
}

#[test]
fn ranges_strides_and_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.dcd"), folder.path().join("b.trr"));
    let all = frames();
    let numbered = |n: usize, offset: f64| Frames {
        n_atoms: 22,
        positions: (0..n)
            .flat_map(|k| all.frame(0).iter().map(move |x| x + offset + k as f64))
            .collect(),
    };
    write(&first, &numbered(4, 0.0));
    write(&second, &numbered(5, 4.0));
    for start in 0..10 {
        for stop in [None, Some(0), Some(3), Some(6), Some(9), Some(20)] {
            for stride in [1, 2, 3, 7] {
                let options = ReadOptions {
                    start,
                    stop,
                    stride,
                    ..ReadOptions::default()
                };
                let mut trajectory =
                    Trajectory::open(&[&first, &second], &topology("aldp"), &options).unwrap();
                let expected: Vec<usize> =
                    (start..stop.unwrap_or(9).min(9)).step_by(stride).collect();
                if expected.is_empty() {
                    let error = trajectory.next().unwrap().unwrap_err().to_string();
                    assert!(error.contains(&format!("start {start}")), "{error}");
                    assert!(trajectory.next().is_none());
                    continue;
                }
                let found: Vec<usize> = trajectory
                    .map(|frame| (frame.unwrap()[0] - all.positions[0]).round() as usize)
                    .collect();
                assert_eq!(found, expected);
            }
        }
    }
    let zero = ReadOptions {
        stride: 0,
        ..ReadOptions::default()
    };
    assert!(matches!(
        read_with(&first, &zero),
        Err(SystemError::ZeroStride)
    ));
    assert!(matches!(
        Trajectory::open::<&Path>(&[], &topology("aldp"), &damaged()),
        Err(SystemError::NoFiles)
    ));
}

#[test]
fn chunks_are_the_frames_in_order() {
    let files = [dipeptide_path(), dipeptide_path()];
    let options = ReadOptions {
        start: 1,
        stride: 2,
        ..ReadOptions::default()
    };
    let open = || Trajectory::open(&files, &topology("aldp"), &options).unwrap();
    let all = open().read_all().unwrap();
    assert_eq!(all.len(), 5);
    for most in [1, 2, 3, 5, 9] {
        let mut trajectory = open();
        let (mut positions, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let chunk = trajectory.read_chunk(most).unwrap();
            if chunk.is_empty() {
                break;
            }
            sizes.push(chunk.len());
            positions.extend(chunk.positions);
        }
        assert_eq!(positions, all.positions);
        assert!(sizes.iter().rev().skip(1).all(|&size| size == most));
        assert!(trajectory.read_chunk(most).unwrap().is_empty());
    }
}

#[test]
fn selected_atoms_are_taken_from_larger_frames() {
    let (part, selection) =
        Topology::read_selection(&Path::new(DATA).join("aldp.pdb"), "resid 2").unwrap();
    let options = ReadOptions {
        selection: Some(selection),
        ..ReadOptions::default()
    };
    let found = Trajectory::open(&[dipeptide_path()], &part, &options)
        .unwrap()
        .read_all()
        .unwrap();
    assert_eq!((found.len(), found.n_atoms), (5, 10));
    for frame in 0..5 {
        assert_eq!(found.frame(frame), &frames().frame(frame)[18..48]);
    }
    assert!(matches!(
        Trajectory::open(&[dipeptide_path()], &topology("aldp"), &options),
        Err(SystemError::Shape { .. })
    ));
}

/// OpenMM ends multi-model PDB files with CONECT records behind the last model, which chemfiles takes for a frame.
#[test]
fn records_behind_the_last_model_are_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pdb");
    write(&path, &frames());
    let text = fs::read_to_string(&path).unwrap();
    let (models, _) = text.rsplit_once("END\n").unwrap();
    fs::write(
        &path,
        format!("{models}CONECT    1    2    3    4    5\nEND\n"),
    )
    .unwrap();
    assert_eq!(read(&path).unwrap().len(), 5);
}

#[test]
fn wrong_atoms_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Trajectory::open(
        &[dipeptide_path()],
        &topology("al4"),
        &ReadOptions::default(),
    )
    .unwrap()
    .read_all()
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("expected 42 atoms") && error.contains("found 22"),
        "{error}"
    );
    let path = folder.path().join("a.xyz");
    write(&path, &frames());
    let text = fs::read_to_string(&path).unwrap();
    // The fourth line is atom 1, "H1".
    fs::write(&path, text.replacen("\nH ", "\nO ", 1)).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("atom 1 is 'O'") && error.contains("H1 (H)"),
        "{error}"
    );
}

#[test]
fn an_unfinished_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for extension in ["dcd", "xyz"] {
        let path = folder.path().join(format!("a.{extension}"));
        fs::write(&path, "old").unwrap();
        let mut writer = TrajectoryWriter::create(&path, &topology("aldp")).unwrap();
        writer.write(frames().frame(0)).unwrap();
        assert!(matches!(
            writer.write(&[0.0; 65]),
            Err(SystemError::Shape {
                expected: 66,
                found: 65
            })
        ));
        drop(writer);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let writer = TrajectoryWriter::create(&path, &topology("aldp")).unwrap();
        assert!(matches!(
            writer.finish(),
            Err(SystemError::Incomplete { expected: 0, .. })
        ));
    }
    assert_eq!(listing(folder.path()).len(), 2);
    for path in ["no/such/a.dcd", "a.mol3", "a.tng", "/dev/null"] {
        assert!(
            TrajectoryWriter::create(Path::new(path), &topology("aldp")).is_err(),
            "{path}"
        );
    }
}

#[test]
fn elements_are_written_where_they_belong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xyz");
    write(&path, &frames());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["22", "Properties=species:S:1:pos:R:3 step=0"]);
    let elements = topology("aldp").atoms.into_iter().map(|a| a.element);
    for (line, element) in lines[2..].iter().zip(elements.clone()) {
        assert_eq!(line.split(' ').next(), Some(element.as_str()), "{line}");
    }
    let path = folder.path().join("a.lammpstrj");
    write(&path, &frames());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[6], "ITEM: BOX BOUNDS ff ff ff");
    for (axis, line) in lines[7..10].iter().enumerate() {
        let (low, high) = line.split_once(' ').unwrap();
        let [low, high] = [low, high].map(|bound| bound.parse::<f64>().unwrap());
        let frame = frames().frame(0).to_vec();
        let mut along = frame[axis..].iter().step_by(3).map(|x| 10.0 * x);
        assert!(along.all(|x| low < x && x < high), "{line}");
    }
    let kinds = ["C", "H", "O", "N"];
    for (line, element) in lines[11..].iter().zip(elements) {
        let fields: Vec<&str> = line.split(' ').collect();
        let kind: usize = fields[1].parse().unwrap();
        assert_eq!([fields[2], kinds[kind - 1]], [&element, &element], "{line}");
    }
}

#[test]
fn formats_that_lose_configurations_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.smi", "a.cif", "a.rst7", "a.smi.gz", "a.pdb.bz2"] {
        let error = TrajectoryWriter::create(&folder.path().join(name), &topology("aldp"))
            .err()
            .unwrap_or_else(|| panic!("{name} passed"))
            .to_string();
        assert!(
            error.contains(name) && error.contains(".dcd") && error.contains(".lammpstrj"),
            "{error}"
        );
    }
    // Whatever chemfiles writes is refused, or comes back.
    for format in chemfiles::formats_list() {
        let Some(extension) = format.extension.filter(|_| format.write) else {
            continue;
        };
        for packing in ["", ".gz", ".bz2", ".xz"] {
            let path = folder.path().join(format!("a{extension}{packing}"));
            if let Ok(mut writer) = TrajectoryWriter::create(&path, &topology("aldp")) {
                writer.write(&frames().positions).unwrap();
                writer.finish().unwrap();
                let found = read(&path).unwrap();
                let all = frames();
                let off = found.positions.iter().zip(&all.positions);
                assert_eq!(found.len(), all.len(), "{path:?}");
                assert!(off.fold(0.0, |most: f64, (x, y)| most.max((x - y).abs())) < 1e-3);
            }
        }
    }
    let left = listing(folder.path());
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

/// Set REGFLOW_FULL_DISK to a folder on a file system of a few MB (mount -t tmpfs -o size=2m tmpfs FOLDER).
#[test]
fn a_full_disk_is_an_error() {
    let Some(folder) = std::env::var_os("REGFLOW_FULL_DISK").map(PathBuf::from) else {
        println!("skipped: REGFLOW_FULL_DISK is not set");
        return;
    };
    for extension in ["dcd", "trr", "nc", "xtc", "xyz", "pdb"] {
        let path = folder.join(format!("a.{extension}"));
        let mut writer = TrajectoryWriter::create(&path, &topology("aldp")).unwrap();
        let error = (0..100_000)
            .find_map(|_| writer.write(frames().frame(0)).err())
            .unwrap()
            .to_string();
        assert!(
            error.contains("No space left") && error.contains(extension),
            "{error}"
        );
        drop(writer);
        assert!(listing(&folder).is_empty(), "{extension}");
    }
}

#[test]
fn the_shipped_example_is_every_tenth_frame_of_the_reference() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
    let topology = Topology::read(&example.join("topology.pdb")).unwrap();
    let mut shipped = Trajectory::open(
        &[example.join("trajectory.dcd")],
        &topology,
        &ReadOptions::default(),
    )
    .unwrap();
    let shipped_frames = shipped.read_all().unwrap();
    assert_eq!(shipped_frames.len(), 10_000);
    assert!(shipped.warnings().is_empty());
    let Some(data) = reference("shipped frames against the whole trajectory") else {
        return;
    };
    let options = ReadOptions {
        stride: 10,
        ..ReadOptions::default()
    };
    let whole = Trajectory::open(&[data.join("aldp/trajectory.dcd")], &topology, &options)
        .unwrap()
        .read_all()
        .unwrap();
    assert!(whole == shipped_frames);
}
