//! One molecule in many spellings: formats, names, elements, serials, locations; and its potential.

use super::super::BondTerm;
use super::super::fixtures::{DATA, topology};
use super::*;

fn pdb(name: &str) -> String {
    std::fs::read_to_string(format!("{DATA}/{name}.pdb")).unwrap()
}

/// Masses and bonds of a System (tests/data/system/molecules).
struct Known {
    masses: Vec<f64>,
    bonds: Vec<BondTerm>,
}

impl Known {
    fn read(name: &str) -> Self {
        let path = format!("{DATA}/molecules/{name}.particles");
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let numbers =
            |line: &str| -> Vec<f64> { line.split(' ').map(|x| x.parse().unwrap()).collect() };
        let masses = numbers(lines.next().unwrap());
        let bond = |line| {
            let [a, b, length, k] = numbers(line)[..] else {
                panic!("{line}")
            };
            BondTerm {
                atoms: [a as usize, b as usize],
                length,
                k,
            }
        };
        Known {
            masses,
            bonds: lines.map(bond).collect(),
        }
    }

    fn particles(&self) -> Particles<'_> {
        Particles {
            source: "system.xml",
            masses: &self.masses,
            bonds: &self.bonds,
        }
    }

    fn pairs(&self) -> Vec<[usize; 2]> {
        sorted(self.bonds.iter().map(|bond| bond.atoms))
    }
}

/// Reads a text as a file of this name, with and without what the potential knows.
fn read_as(name: &str, text: &str, particles: Option<Particles>) -> Result<Structure, SystemError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    Structure::read(
        &path,
        &StructureOptions {
            selection: None,
            particles,
        },
    )
}

fn molecule(name: &str) -> String {
    std::fs::read_to_string(format!("{DATA}/molecules/{name}")).unwrap()
}

fn elements_of(topology: &Topology) -> String {
    topology
        .atoms
        .iter()
        .map(|atom| atom.element.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Lines of atoms changed, others kept.
fn atoms_changed(text: &str, change: impl Fn(&str) -> String) -> String {
    let is_atom = |line: &str| line.starts_with("ATOM") || line.starts_with("HETATM");
    let lines = text.lines().map(|line| {
        if is_atom(line) {
            change(line)
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn an_rna_is_the_same_in_every_spelling() {
    let known = Known::read("rna");
    let pdb = molecule("rna.pdb");
    let expected = read_as("rna.pdb", &pdb, Some(known.particles()))
        .unwrap()
        .topology;
    let without_elements = atoms_changed(&pdb, |line| format!("{line:.66}"));
    let amber = pdb
        .replace("  U A   1", "RU5 A   1")
        .replace("  U A   2", "RU3 A   2");
    let (gro, cif) = (molecule("rna.gro"), molecule("rna.cif"));
    let old_names = amber.replace('\'', "*");
    for (name, text) in [
        ("rna.pdb", &pdb),
        ("noel.pdb", &without_elements),
        ("amber.pdb", &amber),
        (
            "noel-amber.pdb",
            &atoms_changed(&amber, |line| format!("{line:.66}")),
        ),
        ("old.pdb", &old_names),
        ("rna.gro", &gro),
        ("amber.gro", &gro.replace("U    ", "RU   ")),
        ("rna.cif", &cif),
        ("rna.mmcif", &cif),
    ] {
        for particles in [None, Some(known.particles())] {
            let told = particles.is_some();
            let found =
                read_as(name, text, particles).unwrap_or_else(|e| panic!("{name} {told}: {e}"));
            assert_eq!(found.topology.bonds, known.pairs(), "{name} {told}");
            assert_eq!(
                elements_of(&found.topology),
                elements_of(&expected),
                "{name} {told}"
            );
        }
    }
    // O3' of the first residue is bonded to P of the second, and to nothing else of it.
    let atom = |residue: usize, name: &str| {
        expected
            .atoms
            .iter()
            .position(|a| a.residue == residue && a.name == name)
            .unwrap()
    };
    assert!(expected.neighbours()[atom(0, "O3'")].contains(&atom(1, "P")));
    for name in ["HO5'", "HO2'"] {
        assert_eq!(expected.atoms[atom(0, name)].element, "H");
    }
}

#[test]
fn conect_records_name_serials() {
    let (known, gap) = (
        Known::read("benzonitrile"),
        molecule("benzonitrile-gap.pdb"),
    );
    // Serials from somewhere else, in another base, with TER records between, and CONECT records of one direction only.
    let renumbered = |serial: &dyn Fn(i64) -> String| {
        gap.lines()
            .map(|line| match line.get(..6) {
                Some("HETATM") => format!(
                    "HETATM{}{}",
                    serial(line[6..11].trim().parse().unwrap()),
                    &line[11..]
                ),
                Some("CONECT") => {
                    let serials = line[6..]
                        .split_whitespace()
                        .map(|s| serial(s.parse().unwrap()));
                    format!("CONECT{}", serials.collect::<String>())
                }
                _ => line.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let hybrid = |serial: i64| match serial {
        ..8 => format!("{}", 99_992 + serial),
        _ => format!("A{:04}", serial - 8),
    };
    let scattered = |serial: i64| format!("{:5}", 7 * ((serial * 5) % 17) + 3);
    let with_ter = gap.replace("HETATM   10", "TER       9      LIG A   1\nHETATM   10");
    for text in [
        &gap,
        &renumbered(&hybrid),
        &renumbered(&scattered),
        &with_ter,
    ] {
        for particles in [None, Some(known.particles())] {
            let found = read_as("ligand.pdb", text, particles).unwrap();
            assert_eq!(found.topology.bonds, known.pairs());
            assert_eq!(found.warnings, Vec::<String>::new());
        }
    }
    // A record that the potential contradicts is an error that names both sides.
    let wrong = gap.replace("CONECT   10    4", "CONECT   10    5");
    let error = read_as("ligand.pdb", &wrong, Some(known.particles()))
        .unwrap_err()
        .to_string();
    for part in [
        "C4 of LIG1",
        "H1 of LIG1",
        "system.xml",
        "bonded to 3 (C3 of LIG1)",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // A record of an atom that is not there is told.
    let missing = gap.replace("CONECT    1    2", "CONECT    1    2   77");
    let found = read_as("ligand.pdb", &missing, None).unwrap();
    assert!(found.warnings[0].contains("CONECT"), "{:?}", found.warnings);
}

#[test]
fn types_of_force_fields_are_no_elements() {
    for (name, elements) in [
        ("dimethyl-ether", "C O C H H H H H H"),
        ("methanol", "C O H H H H"),
    ] {
        let (known, text) = (Known::read(name), molecule(&format!("{name}.mol2")));
        // Numbers of atoms that do not begin at 1, and types of Sybyl.
        let sybyl = text
            .replace(" c3 ", " C.3 ")
            .replace(" os ", " O.3 ")
            .replace(" oh ", " O.3 ")
            .replace(" h1 ", " H ")
            .replace(" ho ", " H ");
        let amber = text
            .replace(" c3 ", " CT ")
            .replace(" os ", " OS ")
            .replace(" oh ", " OH ")
            .replace(" h1 ", " H1 ")
            .replace(" ho ", " HO ");
        for text in [&text, &sybyl, &amber] {
            for particles in [None, Some(known.particles())] {
                let found = read_as("ligand.mol2", text, particles).unwrap().topology;
                assert_eq!(elements_of(&found), elements);
                assert_eq!(found.bonds, known.pairs());
            }
        }
    }
    // Pyridine: ca and nb; a thioether with chlorine and bromine; names that say nothing need masses.
    let mol2 = |atoms: &[(&str, &str)]| {
        let mut text = format!(
            "@<TRIPOS>MOLECULE\nLIG\n {} {}\nSMALL\nbcc\n\n@<TRIPOS>ATOM\n",
            atoms.len(),
            atoms.len() - 1
        );
        for (k, (name, kind)) in atoms.iter().enumerate() {
            text += &format!("{} {name} {}.0 0.0 0.0 {kind} 1 LIG 0.0\n", 10 * k + 5, k);
        }
        text += "@<TRIPOS>BOND\n";
        (1..atoms.len()).for_each(|k| text += &format!("{k} {} {} 1\n", 10 * k - 5, 10 * k + 5));
        text
    };
    let gaff = mol2(&[
        ("C1", "ca"),
        ("N1", "nb"),
        ("C2", "cd"),
        ("S1", "ss"),
        ("C3", "c3"),
        ("CL1", "cl"),
    ]);
    assert_eq!(
        elements_of(&read_as("l.mol2", &gaff, None).unwrap().topology),
        "C N C S C Cl"
    );
    let nameless = mol2(&[("A1", "q1"), ("A2", "q2"), ("A3", "q3")]);
    assert!(read_as("l.mol2", &nameless, None).is_err());
    let masses = [12.011, 15.999, 1.008];
    let particles = Particles {
        source: "s.xml",
        masses: &masses,
        bonds: &[],
    };
    assert_eq!(
        elements_of(
            &read_as("l.mol2", &nameless, Some(particles))
                .unwrap()
                .topology
        ),
        "C O H"
    );
}

#[test]
fn ions_selenium_and_halogens() {
    let pdb = |name: &str, residue: &str| {
        format!("HETATM    1 {name:4} {residue:3} A   1       0.000   0.000   0.000\nEND\n")
    };
    for (name, residue, expected) in [
        ("CA  ", "CA", "Ca"),
        ("NA  ", "NA", "Na"),
        ("NA+ ", "NA+", "Na"),
        ("CL  ", "CL", "Cl"),
        ("CL- ", "CL-", "Cl"),
        ("MG  ", "MG", "Mg"),
        ("ZN  ", "ZN", "Zn"),
        (" K  ", "K", "K"),
        ("SOD ", "SOD", "Na"),
        ("CLA ", "CLA", "Cl"),
        ("POT ", "POT", "K"),
        ("CAL ", "CAL", "Ca"),
        (" CA ", "GLY", "C"),
        ("FE  ", "FE2", "Fe"),
    ] {
        let found = read_as("ion.pdb", &pdb(name, residue), None)
            .unwrap()
            .topology;
        assert_eq!(found.atoms[0].element, expected, "{name} {residue}");
    }
    let gro = |residue: &str, name: &str| {
        format!("ion\n1\n    1{residue:5}{name:>5}    1   0.000   0.000   0.000\n 2 2 2\n")
    };
    for (residue, name, expected) in [
        ("CA", "CA", "Ca"),
        ("NA", "NA", "Na"),
        ("CL", "CL", "Cl"),
        ("ZN2", "ZN", "Zn"),
    ] {
        assert_eq!(
            read_as("ion.gro", &gro(residue, name), None)
                .unwrap()
                .topology
                .atoms[0]
                .element,
            expected
        );
    }
    // Two atoms, aligned by the book: SE in columns 13 and 14, and the carbon of a CD1 in column 14.
    let pair = |first: &str, second: &str, residue: &str| {
        format!(
            "HETATM    1 {first:4} {residue} A   1       0.000   0.000   0.000\nHETATM    2 {second:4} {residue} A   1       0.000   0.000   1.900\nEND\n"
        )
    };
    for (first, second, residue, expected) in [
        ("SE  ", " CE ", "MSE", "Se C"),
        ("SE", "CE", "MSE", "Se C"),
        (" CD1", "BR1 ", "LIG", "C Br"),
        ("CD1", "CL2", "LIG", "C Cl"),
    ] {
        let found = read_as("pair.pdb", &pair(first, second, residue), None)
            .unwrap()
            .topology;
        assert_eq!(elements_of(&found), expected, "{first} {second}");
    }
}

#[test]
fn habits_of_programs_in_pdb_files() {
    let text = pdb("aldp");
    let expected = topology("aldp");
    let changed = |change: &dyn Fn(&str) -> String| atoms_changed(&text, change);
    for (what, text) in [
        (
            "lower case",
            changed(&|l| format!("{}{}", &l[..76], l[76..].to_ascii_lowercase())),
        ),
        (
            "one column right",
            changed(&|l| format!("{} {}", &l[..76], &l[76..])),
        ),
        (
            "one column left",
            changed(&|l| format!("{}{}", &l[..75], &l[76..])),
        ),
        (
            "segment names",
            changed(&|l| format!("{}PROA{}", &l[..72], &l[76..78])),
        ),
        (
            "names to the left",
            changed(&|l| format!("{}{:4}{}", &l[..12], l[12..16].trim(), &l[16..66])),
        ),
        (
            "two models",
            format!(
                "MODEL        1\n{}ENDMDL\nMODEL        2\n{}ENDMDL\n",
                text.replace("END\n", ""),
                text.replace("END\n", "")
            ),
        ),
    ] {
        let found = read_as("molecule.pdb", &text, None)
            .unwrap_or_else(|e| panic!("{what}: {e}"))
            .topology;
        assert_eq!(elements_of(&found), elements_of(&expected), "{what}");
        assert_eq!(found.bonds, expected.bonds, "{what}");
    }
    // Four letters of a residue's name, old names of hydrogens, insertion codes.
    let amber = text.replace("ALA A   2 ", "NALAA   2A");
    let found = read_as("molecule.pdb", &amber, None).unwrap().topology;
    assert_eq!(
        (found.residues[1].name.as_str(), &found.bonds),
        ("NALA", &expected.bonds)
    );
    let old = text
        .replace(" HB1 ALA", "1HB  ALA")
        .replace(" HB2 ALA", "2HB  ALA")
        .replace(" HB3 ALA", "3HB  ALA");
    let old = atoms_changed(&old, |l| format!("{l:.66}"));
    assert_eq!(
        elements_of(&read_as("m.pdb", &old, None).unwrap().topology),
        elements_of(&expected)
    );
}

#[test]
fn alternate_locations_isotopes_and_sites() {
    let text = pdb("aldp");
    let expected = topology("aldp");
    let both = atoms_changed(&text, |line| match line[12..16].trim() {
        "HB1" | "HB2" | "HB3" => {
            let other = format!(
                "{}B{}{:8.3}{}",
                &line[..16],
                &line[17..30],
                line[30..38].trim().parse::<f64>().unwrap() + 0.3,
                &line[38..]
            );
            format!("{}A{}\n{other}", &line[..16], &line[17..])
        }
        _ => line.to_owned(),
    });
    // Bonds by names and distances: CONECT serials are those of two atoms each now.
    let both: String = both
        .lines()
        .filter(|line| !line.starts_with("CONECT"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let found = read_as("altloc.pdb", &both, None).unwrap();
    assert_eq!(found.topology, expected);
    assert!(
        found
            .warnings
            .iter()
            .any(|w| w.contains("alternate locations") && w.contains("3 atoms")),
        "{:?}",
        found.warnings
    );

    let deuterated = text.replace(" H   NME A   3", " D   NME A   3").replace(
        "-1.568  1.00  0.00           H",
        "-1.568  1.00  0.00           D",
    );
    let found = read_as("d.pdb", &deuterated, None).unwrap().topology;
    assert_eq!(
        (found.atoms[17].element.as_str(), found.atoms[17].mass),
        ("H", 2.014)
    );
    assert_eq!(found.bonds, expected.bonds);
    let masses: Vec<f64> = expected.atoms.iter().map(|atom| atom.mass).collect();
    let particles = Particles {
        source: "s.xml",
        masses: &masses,
        bonds: &[],
    };
    assert_eq!(
        read_as("d.pdb", &deuterated, Some(particles))
            .unwrap()
            .topology,
        found
    );

    let water = "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n\
                 HETATM    2  H1  HOH A   1       0.957   0.000   0.000  1.00  0.00           H\n\
                 HETATM    3  H2  HOH A   1      -0.240   0.927   0.000  1.00  0.00           H\n";
    for site in [
        "HETATM    4 M    HOH A   1       0.076   0.099   0.000  1.00  0.00          EP\n",
        "HETATM    4  MW  HOH A   1       0.076   0.099   0.000\n",
        "HETATM    4 EPW  WAT A   1       0.076   0.099   0.000\n",
    ] {
        let error = read_as("water.pdb", &(water.to_owned() + site), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("virtual site"), "{error}");
    }
    let bead = |element: &str| {
        format!(
            "ATOM      1 X1   CGM A   1       0.000   0.000   0.000  1.00  0.00          {element:>2}\n\
         ATOM      2 X1   CGM A   2       3.800   0.000   0.000  1.00  0.00          {element:>2}\nCONECT    1    2\n"
        )
    };
    let found = read_as("beads.pdb", &bead("X"), None).unwrap().topology;
    assert_eq!(
        (elements_of(&found).as_str(), found.bonds.as_slice()),
        ("X X", &[[0, 1]][..])
    );
    let v3000 = "m\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  END\n$$$$\n";
    let error = read_as("m.sdf", v3000, None).unwrap_err().to_string();
    assert!(error.contains("V3000 is not read"), "{error}");
}

#[test]
fn masses_tell_the_order_of_atoms() {
    let topology = topology("aldp");
    let standard: Vec<f64> = topology.atoms.iter().map(|atom| atom.mass).collect();
    let check = |masses: &[f64]| {
        topology.check_particles(&Particles {
            source: "s.xml",
            masses,
            bonds: &[],
        })
    };
    assert_eq!(check(&standard).unwrap(), Vec::<String>::new());
    let neighbours = topology.neighbours();
    for hydrogen in [1.5, 3.0, 3.024, 4.0] {
        let mut moved = standard.clone();
        for atom in (0..22).filter(|&atom| topology.atoms[atom].atomic_number == 1) {
            moved[neighbours[atom][0]] -= hydrogen - moved[atom];
            moved[atom] = hydrogen;
        }
        assert_eq!(check(&moved).unwrap(), Vec::<String>::new(), "{hydrogen}");
    }
    for harmless in [vec![0.0; 22], vec![f64::NAN; 22], vec![10.0; 22]] {
        assert_eq!(check(&harmless).unwrap(), Vec::<String>::new());
    }
    // Heavy atoms or hydrogens in each other's places: certain.
    for (a, b) in [(0, 1), (4, 5), (5, 6), (8, 9)] {
        let mut swapped = standard.clone();
        swapped.swap(a, b);
        let error = check(&swapped).unwrap_err().to_string();
        assert!(error.contains("the atom orders differ"), "{error}");
    }
    // Other masses: not certain, and told by both sides.
    let mut other = standard.clone();
    other[8] = 32.0;
    let error = check(&other).unwrap_err().to_string();
    assert!(
        !error.contains("the atom orders differ")
            && error.contains("CA of ALA2")
            && error.contains("33.0"),
        "{error}"
    );
    // With the bonds of this molecule they do not matter, and are told.
    let bonds: Vec<BondTerm> = topology
        .bonds
        .iter()
        .map(|&atoms| BondTerm {
            atoms,
            length: 0.1,
            k: 1e5,
        })
        .collect();
    let particles = Particles {
        source: "s.xml",
        masses: &other,
        bonds: &bonds,
    };
    let told = topology.check_particles(&particles).unwrap();
    assert!(told[0].contains("33.0"), "{told:?}");
    // Two carbons exchanged: masses say nothing, bonds do.
    let order: Vec<usize> = (0..22)
        .map(|atom| match atom {
            4 => 8,
            8 => 4,
            other => other,
        })
        .collect();
    let exchanged: Vec<BondTerm> = bonds
        .iter()
        .map(|bond| BondTerm {
            atoms: bond.atoms.map(|atom| order[atom]),
            ..*bond
        })
        .collect();
    let particles = Particles {
        source: "s.xml",
        masses: &standard,
        bonds: &exchanged,
    };
    let error = topology
        .check_particles(&particles)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("s.xml") && error.contains("order of atoms"),
        "{error}"
    );
    assert!(matches!(
        check(&standard[1..]),
        Err(SystemError::ParticleCount {
            expected: 22,
            found: 21,
            ..
        })
    ));
}

#[test]
fn control_characters_in_names_are_refused_and_escaped() {
    let text = pdb("aldp");
    for (name, text) in [
        ("a.pdb", text.replacen(" CH3 ACE", " C\0 3ACE", 1)),
        ("a.pdb", text.replacen("ACE", "A\u{1b}E", 1)),
        ("a.xyz", "2\n\nH\u{7} 0 0 0\nH 0 0 0.7\n".to_owned()),
    ] {
        let error = read_as(name, &text, None).unwrap_err().to_string();
        assert!(error.contains("control character"), "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    // Numbers are quoted.
    let text = "a\n1\n    1LIG     C1    1   0.0\u{1b}0   0.000   0.000\n";
    let error = read_as("a.gro", text, None).unwrap_err().to_string();
    assert!(error.contains("\\u{1b}"), "{error}");
}

#[test]
fn a_name_in_column_14_that_looks_like_chlorine_is_told() {
    let atom = |serial: usize, name: &str, x: f64| {
        format!("HETATM{serial:5} {name} LIG A   1    {x:8.3}   0.000   0.000  1.00  0.00\n")
    };
    let text = atom(1, " C1 ", 0.0) + &atom(2, " CL1", 1.7) + &atom(3, " BR ", -1.9);
    let bonded = format!("{text}CONECT    1    2    3\n");
    let found = read_as("a.pdb", &bonded, None).unwrap();
    let notes = found.warnings.join("; ");
    assert!(
        notes.contains("elements are guessed from names (2 in all)")
            && notes.contains("atom 1 (CL1 of LIG1) is C")
            && notes.contains("atom 2 (BR of LIG1) is B"),
        "{notes}"
    );
    // The element's column leaves nothing to guess.
    let stated: String = text
        .lines()
        .zip(["C", "Cl", "Br"])
        .map(|(line, element)| format!("{line:76}{element:>2}\n"))
        .collect();
    let found = read_as("a.pdb", &stated, None).unwrap();
    let notes = found.warnings.join("; ");
    assert!(!notes.contains("elements"), "{notes}");
}
