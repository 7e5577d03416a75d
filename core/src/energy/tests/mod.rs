//! Against OpenMM (`tests/data/energy/make.py`), against finite differences, and against damaged input.

use std::path::PathBuf;

mod systems;

use super::{Energy, EnergyError, ForceField, Precision};
use crate::math::simd::Isa;

const CASES: [&str; 16] = [
    "aldp",
    "al3",
    "al4",
    "bonded",
    "periodic-torsions",
    "ryckaert-bellemans",
    "no-cutoff",
    "reaction-field",
    "switching",
    "gbsa-obc",
    "gbsa-obc-cutoff",
    "gbsa-obc-engulfed",
    "custom-obc1",
    "custom-obc2",
    "custom-obc2-cutoff",
    "custom-obc1-engulfed",
];

/// Positions, energies and forces that OpenMM computed.
struct Reference {
    positions: Vec<f64>,
    energies: Vec<f64>,
    forces: Vec<f64>,
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/data/energy")
        .join(name)
}

fn xml(case: &str) -> String {
    std::fs::read_to_string(file(&format!("{case}.xml"))).unwrap()
}

fn flatten(value: &serde_json::Value, out: &mut Vec<f64>) {
    match value {
        serde_json::Value::Array(values) => values.iter().for_each(|v| flatten(v, out)),
        number => out.push(number.as_f64().unwrap()),
    }
}

fn reference(case: &str) -> Reference {
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file(&format!("{case}.json"))).unwrap())
            .unwrap();
    let read = |key: &str| {
        let mut numbers = Vec::new();
        flatten(&json[key], &mut numbers);
        numbers
    };
    Reference {
        positions: read("positions"),
        energies: read("energies"),
        forces: read("forces"),
    }
}

fn force_field(case: &str) -> ForceField {
    ForceField::from_system_xml(&file(&format!("{case}.xml"))).unwrap()
}

/// Energies and forces; the energies are compared with those of the path without forces.
fn evaluate(field: &ForceField, positions: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = positions.len() / (3 * field.n_atoms());
    let (mut alone, mut energies, mut forces) =
        (vec![0.0; n], vec![0.0; n], vec![0.0; positions.len()]);
    field.energies(positions, &mut alone).unwrap();
    field
        .energies_and_forces(positions, &mut energies, &mut forces)
        .unwrap();
    for (a, b) in alone.iter().zip(&energies) {
        // The two paths are compiled apart and may contract differently.
        let tolerance = match field.precision() {
            Precision::Double => 1e-12,
            Precision::Mixed => 1e-6,
        };
        assert!(
            !a.is_finite() && !b.is_finite() || (a - b).abs() <= tolerance * b.abs().max(1e3),
            "{a} {b}"
        );
    }
    (energies, forces)
}

/// Largest difference relative to the largest number, or to `floor`.
fn worst(a: &[f64], b: &[f64], floor: f64) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(floor, |m, v| m.max(v.abs()));
    a.iter()
        .zip(b)
        .fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()))
        / scale
}

#[test]
fn agrees_with_openmm_on_every_instruction_set() {
    for case in CASES {
        let reference = reference(case);
        for isa in Isa::available() {
            let (energies, forces) =
                evaluate(&force_field(case).with_isa(isa), &reference.positions);
            let energy = worst(&energies, &reference.energies, 100.0);
            // Forces are stored with six decimals.
            let force = worst(&forces, &reference.forces, 1e4);
            assert!(
                energy < 1e-12,
                "{case} {}: energies differ by {energy:e}",
                isa.name()
            );
            assert!(
                force < 1e-10,
                "{case} {}: forces differ by {force:e}",
                isa.name()
            );
        }
    }
}

/// f32 pair terms: see `Precision::Mixed` for what was measured on 100,000 frames.
#[test]
fn mixed_precision_is_near_openmm() {
    for case in ["aldp", "al3", "al4"] {
        let reference = reference(case);
        for isa in Isa::available() {
            let field = force_field(case)
                .with_precision(Precision::Mixed)
                .with_isa(isa);
            let (energies, forces) = evaluate(&field, &reference.positions);
            for (a, b) in energies.iter().zip(&reference.energies) {
                assert!((a - b).abs() < 1e-3, "{case} {}: {a} {b}", isa.name());
            }
            for (a, b) in forces.iter().zip(&reference.forces) {
                assert!((a - b).abs() < 5e-3, "{case} {}: {a} {b}", isa.name());
            }
        }
    }
}

#[test]
fn forces_are_the_negative_gradient() {
    // Central differences of order 4: truncation ~ h^4 U^(5)/30, rounding ~ eps |U|/h.
    const H: f64 = 2e-5;
    for case in CASES {
        let reference = reference(case);
        let field = force_field(case);
        let width = 3 * field.n_atoms();
        let x = &reference.positions[..width];
        let (_, forces) = evaluate(&field, x);
        let mut shifted = Vec::new();
        for d in 0..width {
            for step in [-2.0, -1.0, 1.0, 2.0] {
                let mut y = x.to_vec();
                y[d] += step * H;
                shifted.extend(y);
            }
        }
        let (u, _) = evaluate(&field, &shifted);
        let scale = forces.iter().fold(1e3f64, |m, f| m.max(f.abs()));
        for (d, u) in u.chunks(4).enumerate() {
            let gradient = (8.0 * (u[2] - u[1]) - (u[3] - u[0])) / (12.0 * H);
            assert!(
                (gradient + forces[d]).abs() < 1e-6 * scale,
                "{case} {d}: {gradient} {}",
                -forces[d]
            );
        }
    }
}

#[test]
fn every_batch_size_gives_the_same() {
    let field = force_field("aldp");
    let reference = reference("aldp");
    let width = 3 * field.n_atoms();
    let (all, all_forces) = evaluate(&field, &reference.positions);
    for n in [0, 1, 2, 7, 15, 16, 17, 20] {
        let (energies, forces) = evaluate(&field, &reference.positions[..n * width]);
        assert_eq!(energies, all[..n]);
        assert_eq!(forces, all_forces[..n * width]);
    }
    let many = reference.positions.repeat(40);
    assert_eq!(evaluate(&field, &many).0, all.repeat(40));
}

#[test]
fn rigid_motions_change_nothing() {
    let field = force_field("al3");
    let reference = reference("al3");
    let (s, c) = 1.1f64.sin_cos();
    let moved: Vec<f64> = reference
        .positions
        .chunks(3)
        .flat_map(|p| {
            [
                c * p[0] - s * p[1] + 3.0,
                s * p[0] + c * p[1] - 2.0,
                p[2] + 0.5,
            ]
        })
        .collect();
    assert!(worst(&evaluate(&field, &moved).0, &reference.energies, 100.0) < 1e-11);
}

#[test]
fn bad_configurations_are_not_finite_and_alone() {
    for precision in [Precision::Double, Precision::Mixed] {
        for case in CASES {
            let field = force_field(case).with_precision(precision);
            let reference = reference(case);
            let width = 3 * field.n_atoms();
            let clean = evaluate(&field, &reference.positions);
            let mut positions = reference.positions.clone();
            let bad = [
                (1, 4, f64::NAN),
                (3, 0, f64::INFINITY),
                (6, width - 1, f64::NEG_INFINITY),
                (7, 5, 1e200),
            ];
            for (frame, d, value) in bad {
                positions[frame * width + d] = value;
            }
            let (energies, forces) = evaluate(&field, &positions);
            for (frame, energy) in energies.iter().enumerate() {
                if bad[..3].iter().any(|b| b.0 == frame) {
                    assert!(!energy.is_finite(), "{case} {frame}");
                } else if frame != 7 {
                    let range = frame * width..(frame + 1) * width;
                    assert_eq!(*energy, clean.0[frame], "{case} {frame}");
                    assert_eq!(forces[range.clone()], clean.1[range], "{case} {frame}");
                }
            }
        }
    }
    let field = force_field("aldp");
    let (energies, _) = evaluate(&field, &[0.0; 66]);
    assert!(!energies[0].is_finite());
}

#[test]
fn arrays_must_fit() {
    let field = force_field("aldp");
    let mut energies = [0.0; 2];
    let error = field.energies(&[0.0; 66], &mut energies).unwrap_err();
    assert!(matches!(
        error,
        EnergyError::Shape {
            what: "positions",
            expected: 132,
            found: 66
        }
    ));
    let error = field
        .energies_and_forces(&[0.0; 132], &mut energies, &mut [0.0; 131])
        .unwrap_err();
    assert!(matches!(
        error,
        EnergyError::Shape {
            what: "forces",
            expected: 132,
            found: 131
        }
    ));
}

/// The error after one replacement in the XML of a case.
fn error_of(case: &str, from: &str, to: &str) -> String {
    let text = xml(case);
    assert!(text.contains(from), "{case} lacks {from}");
    match ForceField::from_xml(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("{case}: accepted {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn unsupported_systems_are_refused_with_the_reason() {
    let force = "type=\"HarmonicAngleForce\"";
    for (case, from, to, words) in [
        (
            "aldp",
            force,
            "type=\"AmoebaVdwForce\"",
            &[
                "\"AmoebaVdwForce\"",
                "line ",
                "supported are HarmonicBondForce",
            ][..],
        ),
        (
            "aldp",
            force,
            "type=\"CustomBondForce\"",
            &["CustomBondForce", "RBTorsionForce"],
        ),
        (
            "aldp",
            "usesPeriodic=\"0\"",
            "usesPeriodic=\"1\"",
            &["HarmonicBondForce", "periodic"],
        ),
        (
            "aldp",
            "exceptionsUsePeriodic=\"0\"",
            "exceptionsUsePeriodic=\"1\"",
            &["NonbondedForce", "periodic"],
        ),
        (
            "reaction-field",
            "method=\"1\"",
            "method=\"4\"",
            &["NonbondedForce", "method=\"4\"", "periodic"],
        ),
        (
            "gbsa-obc",
            "method=\"0\"",
            "method=\"2\"",
            &["GBSAOBCForce", "method=\"2\""],
        ),
        (
            "aldp",
            "<ParticleOffsets/>",
            "<ParticleOffsets><Offset/></ParticleOffsets>",
            &["parameter offsets"],
        ),
        (
            "aldp",
            "includeDirectSpace=\"1\"",
            "includeDirectSpace=\"0\"",
            &["includeDirectSpace"],
        ),
        (
            "aldp",
            "<Constraints/>",
            "<Constraints><Constraint d=\".1\" p1=\"0\" p2=\"1\"/></Constraints>",
            &["1 constraints", "constraints=None"],
        ),
        (
            "aldp",
            "<Particle mass=\"12.01078\"/>",
            "<Particle mass=\"0\"><OutOfPlaneSite/></Particle>",
            &["OutOfPlaneSite", "particle 0"],
        ),
        (
            "custom-obc1",
            "tanh(0.8*psi",
            "tanh(0.8*I",
            &["computed value B", "tanh(0.8*I"],
        ),
        (
            "custom-obc1",
            "0.25*(r-sr2^2/r)",
            "0.26*(r-sr2^2/r)",
            &["computed value I"],
        ),
        (
            "custom-obc1",
            "kappa=0",
            "kappa=1.2",
            &["kappa=1.2", "salt"],
        ),
        (
            "custom-obc1",
            "charge1*charge2/f",
            "charge1*charge2/f^2",
            &["energy term"],
        ),
        (
            "custom-obc1",
            "<GlobalParameters/>",
            "<GlobalParameters><Parameter/></GlobalParameters>",
            &["GlobalParameters"],
        ),
        (
            "custom-obc1",
            "name=\"sr\"",
            "name=\"scale\"",
            &["per-particle parameters", "`sr`"],
        ),
    ] {
        let message = error_of(case, from, to);
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    }
}

#[test]
fn damaged_files_are_refused_with_the_place() {
    for (case, from, to, words) in [
        (
            "aldp",
            "d=\".109\"",
            "d=\"x\"",
            &["<Bond d=\"x\">", "a finite number", "line "][..],
        ),
        ("aldp", "d=\".109\"", "d=\"nan\"", &["a finite number"]),
        ("aldp", "d=\".109\" ", "", &["<Bond> has no attribute `d`"]),
        (
            "aldp",
            "p1=\"0\" p2=\"1\"",
            "p1=\"0\" p2=\"22\"",
            &["p2=\"22\"", "below 22"],
        ),
        (
            "aldp",
            "p1=\"0\" p2=\"1\"",
            "p1=\"-1\" p2=\"1\"",
            &["p1=\"-1\""],
        ),
        (
            "aldp",
            "p1=\"0\" p2=\"1\"",
            "p1=\"1\" p2=\"1\"",
            &["other than the ones before"],
        ),
        (
            "aldp",
            "periodicity=\"2\"",
            "periodicity=\"1000000000000\"",
            &["from 1 to 64"],
        ),
        (
            "aldp",
            "<Particle eps=\".4577296\" q=\"-.3662\" sig=\".339966950842\"/>",
            "",
            &["NonbondedForce", "21 particles", "has 22"],
        ),
        (
            "aldp",
            "r=\".19\"",
            "r=\".009\"",
            &["above the dielectric offset"],
        ),
        (
            "aldp",
            "type=\"HarmonicBondForce\"",
            "",
            &["has no attribute `type`"],
        ),
        ("aldp", "<Constraints/>", "<Constraints>", &["XML"]),
        (
            "switching",
            "switchingDistance=\".3\"",
            "switchingDistance=\".7\"",
            &["switchingDistance", "below the cutoff"],
        ),
        (
            "reaction-field",
            "cutoff=\".5\"",
            "cutoff=\"0\"",
            &["cutoff=\"0\"", "above 0"],
        ),
    ] {
        let message = error_of(case, from, to);
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    }
    for (text, word) in [
        ("", "XML"),
        ("<Topology/>", "<Topology>"),
        ("<System/>", "no <Particles>"),
        ("<System><Particles/></System>", "no <Particle>"),
    ] {
        assert!(
            ForceField::from_xml(text)
                .unwrap_err()
                .to_string()
                .contains(word),
            "{text}"
        );
    }
    let error = ForceField::from_system_xml(&file("absent.xml"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("absent.xml"), "{error}");
}

#[test]
fn no_truncation_is_accepted() {
    let text = xml("custom-obc1");
    for end in (0..text.trim_end().len()).step_by(37) {
        assert!(ForceField::from_xml(&text[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn masses_are_read() {
    let field = force_field("aldp");
    let masses = field.masses().unwrap();
    assert_eq!(
        (masses.len(), masses[0], masses[1]),
        (22, 12.01078, 1.007947)
    );
}

/// All frames of the three peptides, where `REGFLOW_REFERENCE_DATA` names their folder.
#[test]
fn agrees_with_openmm_on_whole_trajectories() {
    let Some(folder) = std::env::var_os("REGFLOW_REFERENCE_DATA").map(PathBuf::from) else {
        eprintln!("skipped: REGFLOW_REFERENCE_DATA is not set");
        return;
    };
    for peptide in ["aldp", "al3", "al4"] {
        let folder = folder.join(peptide);
        let mut archive = npyz::npz::NpzArchive::open(folder.join("energies.npz")).unwrap();
        let expected: Vec<f64> = archive
            .by_name("energy")
            .unwrap()
            .unwrap()
            .into_vec()
            .unwrap();
        let mut trajectory =
            chemfiles::Trajectory::open(folder.join("trajectory.dcd"), 'r').unwrap();
        let (mut frame, mut positions) = (chemfiles::Frame::new(), Vec::new());
        for _ in 0..trajectory.nsteps() {
            trajectory.read(&mut frame).unwrap();
            positions.extend(frame.positions().iter().flatten().map(|x| x / 10.0));
        }
        let double = force_field(peptide);
        for (field, limit) in [
            (double.clone(), 1e-9),
            (double.with_precision(Precision::Mixed), 1e-3),
        ] {
            let mut energies = vec![0.0; expected.len()];
            field.energies(&positions, &mut energies).unwrap();
            let error = energies
                .iter()
                .zip(&expected)
                .fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
            println!(
                "{peptide} {:?}: {} frames, at most {error:.1e} kJ/mol",
                field.precision(),
                energies.len()
            );
            assert!(error < limit);
        }
    }
}
