//! Tests of topologies, on three peptides and on damaged copies of them.

use super::super::fixtures::{DATA, bond_list, frames, reference, topology};
use super::*;
use crate::system::torsion;

fn pdb(name: &str) -> String {
    std::fs::read_to_string(format!("{DATA}/{name}.pdb")).unwrap()
}

fn read_text(text: &str) -> Result<Topology, SystemError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("molecule.pdb");
    std::fs::write(&path, text).unwrap();
    Topology::read(&path)
}

#[test]
fn bonds_are_those_of_the_force_field() {
    for name in ["aldp", "al3", "al4"] {
        assert_eq!(topology(name).bonds, bond_list(name), "{name}");
    }
}

#[test]
fn bonds_are_guessed_where_the_file_has_none() {
    for name in ["aldp", "al3", "al4"] {
        // Without CONECT records, then also with residue names that chemfiles has no template for.
        let text: String = pdb(name)
            .lines()
            .filter(|line| !line.starts_with("CONECT"))
            .map(|line| line.to_owned() + "\n")
            .collect();
        assert_eq!(read_text(&text).unwrap().bonds, bond_list(name), "{name}");
        let text = text
            .replace("ALA", "XXX")
            .replace("ACE", "XXY")
            .replace("NME", "XXZ");
        assert_eq!(read_text(&text).unwrap().bonds, bond_list(name), "{name}");
    }
}

#[test]
fn atoms_and_residues_of_the_dipeptide() {
    let topology = topology("aldp");
    let residues: Vec<(&str, i64, &str)> = topology
        .residues
        .iter()
        .map(|r| (r.name.as_str(), r.id, r.chain.as_str()))
        .collect();
    assert_eq!(
        residues,
        [("ACE", 1, "A"), ("ALA", 2, "A"), ("NME", 3, "A")]
    );
    let ca = &topology.atoms[8];
    assert_eq!(
        (
            ca.name.as_str(),
            ca.element.as_str(),
            ca.atomic_number,
            ca.residue
        ),
        ("CA", "C", 6, 1)
    );
    assert!((ca.mass - 12.011).abs() < 1e-3);
    let formula = |number| {
        topology
            .atoms
            .iter()
            .filter(|atom| atom.atomic_number == number)
            .count()
    };
    assert_eq!([1, 6, 7, 8].map(formula), [12, 6, 2, 2]);
}

#[test]
fn elements_without_an_element_column() {
    let text: String = pdb("aldp")
        .lines()
        .map(|line| format!("{:.66}\n", line))
        .collect();
    assert_eq!(read_text(&text).unwrap(), topology("aldp"));
}

#[test]
fn backbone_torsions_of_the_peptides() {
    let names = |name: &str| -> Vec<(String, bool, bool)> {
        topology(name)
            .backbone_torsions()
            .into_iter()
            .map(|t| (t.name, t.phi.is_some(), t.psi.is_some()))
            .collect()
    };
    assert_eq!(names("aldp"), [("ALA2".to_owned(), true, true)]);
    let zwitterion = [
        ("ALA1", false, true),
        ("ALA2", true, true),
        ("ALA3", true, false),
    ];
    assert_eq!(
        names("al3"),
        zwitterion.map(|(n, a, b)| (n.to_owned(), a, b))
    );
    assert_eq!(
        names("al4"),
        ["ALA2", "ALA3", "ALA4"].map(|n| (n.to_owned(), true, true))
    );
    let torsions = &topology("aldp").backbone_torsions()[0];
    assert_eq!(
        (torsions.phi, torsions.psi),
        (Some([4, 6, 8, 10]), Some([6, 8, 10, 16]))
    );
}

#[test]
fn torsions_equal_independent_values() {
    let table = std::fs::read_to_string(format!("{DATA}/aldp-torsions.csv")).unwrap();
    let (frames, torsions) = (frames(), &topology("aldp").backbone_torsions()[0]);
    for (frame, line) in table
        .lines()
        .filter(|line| !line.starts_with(['#', 'p']))
        .enumerate()
    {
        let expected: Vec<f64> = line
            .split(',')
            .map(|value| value.parse().unwrap())
            .collect();
        for (atoms, expected) in [torsions.phi, torsions.psi].iter().zip(expected) {
            let found = torsion(frames.frame(frame), atoms.unwrap());
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
}

#[test]
fn selections() {
    let path = Path::new(DATA).join("aldp.pdb");
    let (part, selection) = Topology::read_selection(&path, "resname ALA").unwrap();
    assert_eq!(
        selection,
        AtomSelection {
            n_atoms: 22,
            atoms: (6..16).collect()
        }
    );
    assert_eq!(
        (part.n_atoms(), part.residues.len(), part.bonds.len()),
        (10, 1, 9)
    );
    let error = |text| {
        Topology::read_selection(&path, text)
            .unwrap_err()
            .to_string()
    };
    assert!(error("resname GLY").contains("matches none of the 22 atoms"));
    assert!(error("nonsense ((").contains("nonsense"));
    assert!(error("pairs: all").contains("single atoms"));
    assert!(error("name \0").contains("NUL"));
    assert!(error("resname ACE NME").contains("separate molecules"));
}

#[test]
fn bad_structures_are_refused_with_the_fact() {
    let missing = Topology::read(Path::new("no/such.pdb"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("no/such.pdb") && missing.contains("No such file"),
        "{missing}"
    );
    assert!(matches!(read_text(""), Err(SystemError::EmptyFile { .. })));
    assert!(matches!(
        read_text("END\n"),
        Err(SystemError::Format { .. })
    ));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.unknown");
    std::fs::write(&path, "x").unwrap();
    let unknown = Topology::read(&path).unwrap_err().to_string();
    assert!(unknown.contains(".pdb"), "{unknown}");
    assert!(matches!(
        Topology::read(folder.path()),
        Err(SystemError::Read { .. })
    ));
    // An atom moved away: neither the file's bonds nor guessed ones connect it.
    let far: String = pdb("al3")
        .lines()
        .map(|line| if line.contains(" CA  ALA A   2") { line.replace("2.526", "9.526") } else { line.to_owned() } + "\n")
        .collect();
    assert!(
        read_text(&far).is_ok(),
        "templates give the bonds of standard residues"
    );
    let error = read_text(&far.replace("ALA", "XXX"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("separate molecules"), "{error}");
    // A hydrogen with two bonds.
    let extra = pdb("aldp").replace("CONECT    2    1\n", "CONECT    2    1    9\n");
    assert_eq!(
        read_text(&extra).unwrap().bonds,
        bond_list("aldp"),
        "an impossible CONECT gives way to distances"
    );
}

#[test]
fn survives_json() {
    let topology = topology("al3");
    let text = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&text).unwrap(), topology);
}

#[test]
fn reference_topologies_agree_with_their_force_fields() {
    let Some(data) = reference("topologies against system.xml") else {
        return;
    };
    for name in ["aldp", "al3", "al4"] {
        let text = std::fs::read_to_string(data.join(name).join("system.xml")).unwrap();
        let system = roxmltree::Document::parse(&text).unwrap();
        let bonds = system
            .descendants()
            .filter(|node| node.has_tag_name("Bond") && node.has_attribute("k"));
        let index =
            |node: roxmltree::Node, key| node.attribute(key).unwrap().parse::<usize>().unwrap();
        let expected = sorted(
            bonds
                .map(|node| [index(node, "p1"), index(node, "p2")])
                .collect::<Vec<_>>(),
        );
        let found = Topology::read(&data.join(name).join("topology.pdb")).unwrap();
        assert_eq!(found.bonds, expected);
    }
}

#[test]
fn packed_files_and_other_names_are_read_as_the_plain_one() {
    use std::io::Write;

    let plain = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/data/alanine-dipeptide/topology.pdb");
    let expected = Topology::read(&plain).unwrap();
    let text = std::fs::read(&plain).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&text).unwrap();
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip.write_all(&text).unwrap();
    let (gzip, bzip) = (gzip.finish().unwrap(), bzip.finish().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Topology::read(&path)
    };
    for (name, bytes) in [
        ("a.pdb.gz", &gzip),
        ("a.PDB.BZ2", &bzip),
        ("A.PDB", &text),
        ("a.ent", &text),
    ] {
        assert_eq!(read(name, bytes).unwrap(), expected, "{name}");
    }
    // Cut off, they end in an error.
    for (name, bytes) in [
        ("b.pdb.gz", &gzip),
        ("b.pdb.bz2", &bzip),
        ("b.sdf.gz", &gzip),
        ("b.sdf.bz2", &bzip),
    ] {
        let error = read(name, &bytes[..bytes.len() / 2]).unwrap_err();
        assert!(matches!(error, SystemError::Read { .. }), "{name}: {error}");
    }
    let error = read("a.pdb.xz", &text).unwrap_err().to_string();
    assert!(error.contains("unpack it first"), "{error}");
}
