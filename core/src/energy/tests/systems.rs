//! Large molecules in tiles; what has no energy; what is for OpenMM.

use super::super::kernels::{PAIRS_PER_TILE, Tables};
use super::super::system_xml;
use super::*;
use crate::potential::load;

/// Far fewer pairs at a time than there are, with rows of several lengths.
#[test]
fn tiles_change_nothing_but_rounding() {
    for case in CASES {
        let expected = reference(case);
        let n = expected.energies.len();
        let evaluate = |field: &ForceField| {
            let mut energies = vec![0.0; n];
            let mut forces = vec![0.0; expected.positions.len()];
            field
                .energies_and_forces(&expected.positions, &mut energies, &mut forces)
                .unwrap();
            let mut alone = vec![0.0; n];
            field.energies(&expected.positions, &mut alone).unwrap();
            assert!(
                energies
                    .iter()
                    .zip(&alone)
                    .all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0)),
                "{case}"
            );
            (energies, forces)
        };
        let field = ForceField::from_xml(&xml(case)).unwrap();
        let (energies, forces) = evaluate(&field);
        for pairs in [1, 13, 100] {
            let (found, found_forces) = evaluate(&field.clone().with_tiles(pairs));
            for (a, b) in energies.iter().zip(&found) {
                assert!(
                    (a - b).abs() <= 1e-10 * a.abs().max(1.0),
                    "{case} {pairs}: {a} {b}"
                );
            }
            let scale = forces.iter().fold(1.0_f64, |scale, f| scale.max(f.abs()));
            for (a, b) in forces.iter().zip(&found_forces) {
                assert!((a - b).abs() <= 1e-10 * scale, "{case} {pairs}: {a} {b}");
            }
        }
    }
}

/// A chain of neutral particles with a cutoff, as XML.
fn chain(n: usize) -> String {
    let particles = "<Particle mass=\"12\"/>".repeat(n);
    let parameters = "<Particle eps=\".3\" q=\".1\" sig=\".3\"/>".repeat(n);
    format!(
        "<System><Particles>{particles}</Particles><Constraints/><Forces><Force type=\"NonbondedForce\" method=\"1\" cutoff=\"1\" \
         rfDielectric=\"78.3\" useSwitchingFunction=\"0\"><Particles>{parameters}</Particles><Exceptions/></Force></Forces></System>"
    )
}

#[test]
fn memory_of_large_molecules_is_bounded() {
    // Small molecules are one tile, whose size is that of their pairs.
    let small = Tables::<f64>::new(&system_xml::parse(&chain(100)).unwrap(), PAIRS_PER_TILE);
    assert_eq!((small.whole.is_some(), small.most_pairs), (true, 4950));
    for n in [1000, 3000] {
        let large = Tables::<f64>::new(&system_xml::parse(&chain(n)).unwrap(), PAIRS_PER_TILE);
        assert!(
            large.whole.is_none() && large.most_pairs <= PAIRS_PER_TILE,
            "{}",
            large.most_pairs
        );
        let rows: usize = large.tiles.iter().map(|rows| rows.len()).sum();
        assert_eq!((rows, large.tiles.last().unwrap().end), (n, n));
    }
    // And the energy is right: two particles within the cutoff, all others far apart.
    let field = ForceField::from_xml(&chain(400)).unwrap();
    let pair = ForceField::from_xml(&chain(2)).unwrap();
    let mut positions: Vec<f64> = (0..400)
        .flat_map(|k| [2.0 * f64::from(k), 0.0, 0.0])
        .collect();
    positions[3 * 377] = positions[3 * 18] + 0.4;
    let (mut energy, mut expected) = ([0.0], [0.0]);
    field.energies(&positions, &mut energy).unwrap();
    pair.energies(&[0.0, 0.0, 0.0, 0.4, 0.0, 0.0], &mut expected)
        .unwrap();
    assert!(
        (energy[0] - expected[0]).abs() < 1e-12 && expected[0] != 0.0,
        "{energy:?} {expected:?}"
    );
}

#[test]
fn what_has_no_energy_is_ignored() {
    let expected = ForceField::from_xml(&xml("aldp")).unwrap();
    for force in [
        "<Force type=\"AndersenThermostat\" temperature=\"300\" frequency=\"1\" randomSeed=\"0\"/>",
        "<Force type=\"MonteCarloBarostat\" pressure=\"1\" temperature=\"300\" frequency=\"25\"/>",
        "<Force type=\"MonteCarloAnisotropicBarostat\" temperature=\"300\"/>",
        "<Force type=\"MonteCarloMembraneBarostat\" temperature=\"300\"/>",
        "<Force type=\"MonteCarloFlexibleBarostat\" temperature=\"300\"/>",
        "<Force type=\"CMMotionRemover\" frequency=\"1\"/>",
        "<Force type=\"CMAPTorsionForce\"><Maps/><Torsions/></Force>",
        "<Force type=\"CustomBondForce\" energy=\"k*r\"><PerBondParameters/><Bonds/></Force>",
        "<Force type=\"CustomExternalForce\" energy=\"x\"><Particles/></Force>",
    ] {
        let text = xml("aldp").replace("</Forces>", &format!("{force}</Forces>"));
        let field = ForceField::from_xml(&text).unwrap_or_else(|e| panic!("{force}: {e}"));
        let frames = reference("aldp");
        let energies = |field: &ForceField| {
            let mut energies = vec![0.0; frames.energies.len()];
            field.energies(&frames.positions, &mut energies).unwrap();
            energies
        };
        assert_eq!(energies(&field), energies(&expected), "{force}");
    }
}

/// The path of the file stands where it can be copied from.
#[test]
fn what_only_openmm_evaluates_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str, from: &str, to: &str| {
        let text = xml(name);
        assert!(text.contains(from));
        let path = folder.path().join("system.xml");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = load(path.to_str().unwrap()).err().unwrap().to_string();
        (error.contains(&format!("openmm:{}", path.display())), error)
    };
    let force = |force: &str| format!("{force}</Forces>");
    for (name, from, to) in [
        (
            "aldp",
            "</Forces>",
            force(
                "<Force type=\"CMAPTorsionForce\"><Maps/><Torsions><Torsion/></Torsions></Force>",
            ),
        ),
        (
            "aldp",
            "</Forces>",
            force("<Force type=\"CustomNonbondedForce\"/>"),
        ),
        (
            "aldp",
            "usesPeriodic=\"0\"",
            "usesPeriodic=\"1\"".to_owned(),
        ),
        ("reaction-field", "method=\"1\"", "method=\"4\"".to_owned()),
        ("custom-obc1", "kappa=0", "kappa=1.2".to_owned()),
        (
            "custom-obc1",
            "0.25*(r-sr2^2/r)",
            "0.26*(r-sr2^2/r)".to_owned(),
        ),
    ] {
        let (named, error) = told(name, from, &to);
        assert!(named, "{error}");
    }
    // OpenMM does not help with these.
    for (from, to) in [
        (
            "<Constraints/>",
            "<Constraints><Constraint d=\".1\" p1=\"0\" p2=\"1\"/></Constraints>",
        ),
        (
            "<Particle mass=\"12.01078\"/>",
            "<Particle mass=\"0\"><OutOfPlaneSite/></Particle>",
        ),
        ("mass=\"12.01078\"", "mass=\"heavy\""),
    ] {
        let (named, error) = told("aldp", from, to);
        assert!(!named, "{error}");
    }
}

#[test]
fn bonds_of_a_system_of_any_forces() {
    let text = xml("aldp")
        .replace(
            "<Constraints/>",
            "<Constraints><Constraint d=\".1\" p1=\"0\" p2=\"21\"/></Constraints>",
        )
        .replace("</Forces>", "<Force type=\"Unknown\"/></Forces>");
    let terms = system_xml::bond_terms(&text);
    let field = ForceField::from_xml(&xml("aldp")).unwrap();
    assert_eq!(terms[..terms.len() - 1], *field.bonds());
    let constraint = terms.last().unwrap();
    assert_eq!(
        (constraint.atoms, constraint.length, constraint.k),
        ([0, 21], 0.1, f64::INFINITY)
    );
    assert!(system_xml::bond_terms("no XML").is_empty());
}
