//! Energies and forces of three peptides by the native force field, beside OpenMM.

use std::path::Path;

use regflow::energy::{Energy, ForceField, Precision};

use crate::Outcome;
use crate::measure::{Rival, Table, median_of_calls};
use crate::peer::Peer;

/// Configurations per call.
const BATCH: usize = 512;

pub fn rows(table: &mut Table) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/energy");
    for (molecule, file) in [
        ("dipeptide", "aldp"),
        ("tripeptide, cutoff", "al3"),
        ("tetrapeptide", "al4"),
    ] {
        let names = |what: &str, precision: &str| format!("{what}, {molecule}, {precision}");
        let cases = [
            ("energy", "energies", "double", Precision::Double),
            ("energy", "energies", "mixed", Precision::Mixed),
            ("energy and forces", "forces", "double", Precision::Double),
        ];
        if !cases
            .iter()
            .any(|(what, _, p, _)| table.wants(&names(what, p)))
        {
            continue;
        }
        let system = folder.join(format!("{file}.xml"));
        let frames = folder.join(format!("{file}.json"));
        let field = ForceField::from_system_xml(&system)?;
        let width = 3 * field.n_atoms();
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&frames)?)?;
        let stored: Vec<Vec<[f64; 3]>> = serde_json::from_value(json["positions"].clone())?;
        let positions = stored.iter().flatten().flatten().copied().cycle();
        let positions: Vec<f64> = positions.take(BATCH * width).collect();
        let mut peer = Peer::start("energies.py", &[system.as_os_str(), frames.as_os_str()])?;
        let (mut energies, mut forces) = (vec![0.0; BATCH], vec![0.0; BATCH * width]);
        for (what, work, precision_name, precision) in cases {
            let name = names(what, precision_name);
            if !table.wants(&name) {
                continue;
            }
            let field = field.clone().with_precision(precision);
            let remark = match &peer {
                Some(peer) => format!("{}; {}", field.instruction_set(), peer.name),
                None => field.instruction_set().to_string(),
            };
            let turn = || {
                median_of_calls(|| {
                    if work == "energies" {
                        field.energies(&positions, &mut energies)?;
                    } else {
                        field.energies_and_forces(&positions, &mut energies, &mut forces)?;
                    }
                    Ok(())
                })
                .map(|seconds| seconds / BATCH as f64)
            };
            let rival = Rival::of(&mut peer, work, stored.len() as f64);
            table.row(&name, turn, rival, &|_| remark.clone())?;
        }
    }
    Ok(())
}
