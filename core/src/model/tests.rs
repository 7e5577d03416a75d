//! Files of models.

use serde_json::json;

use super::*;
use crate::coordinates::{Arrays, CoordinateSettings};
use crate::system::{Atom, Residue};

/// A chain of carbon atoms.
fn chain(n_atoms: usize) -> Topology {
    let atom = |index| Atom {
        name: format!("C{index}"),
        element: "C".to_owned(),
        atomic_number: 6,
        mass: 12.0,
        residue: 0,
    };
    Topology {
        atoms: (0..n_atoms).map(atom).collect(),
        residues: vec![Residue {
            name: "X".to_owned(),
            id: 1,
            chain: String::new(),
        }],
        bonds: (1..n_atoms).map(|index| [index - 1, index]).collect(),
    }
}

/// Whitened in five blocks, each with `root = I + v v^T`, `inverse_root = I - v v^T / (1 + v^T v)`.
fn dense(n_atoms: usize) -> Coordinates {
    const BLOCKS: usize = 5;
    let size = 3 * n_atoms - 6;
    let v: Vec<f64> = (0..size).map(|k| ((k * k) as f64).sin() / 10.0).collect();
    let blocks: Vec<&[f64]> = (0..BLOCKS)
        .map(|block| &v[block * size / BLOCKS..(block + 1) * size / BLOCKS])
        .collect();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let triangles = |factor: &dyn Fn(f64) -> f64| -> Vec<f64> {
        let mut triangles = Vec::new();
        for v in &blocks {
            let factor = factor(norm(v));
            for i in 0..v.len() {
                triangles.push(1.0 + factor * v[i] * v[i]);
                triangles.extend((i + 1..v.len()).map(|j| factor * v[i] * v[j]));
            }
        }
        triangles
    };
    let log_det: f64 = blocks.iter().map(|v| norm(v).ln_1p()).sum();
    let settings = json!({
        "n_atoms": n_atoms,
        "map": {"gauge": {"atoms": [1, 0, 2], "standardise": {"whiten": true, "log_det": log_det}}},
    });
    let arrays = [
        ("mean", vec![1.0; size]),
        ("scale", vec![1.0; size]),
        ("root", triangles(&|_| 1.0)),
        ("inverse_root", triangles(&|norm| -1.0 / (1.0 + norm))),
    ];
    let arrays = arrays.map(|(name, values)| (name.to_owned(), values));
    let settings: CoordinateSettings = serde_json::from_value(settings).unwrap();
    Coordinates::restore(settings, Arrays(arrays.into())).unwrap()
}

/// As text in the header, the matrices of 750 atoms were above the format's limit of 100 MB.
#[test]
fn a_model_of_many_atoms_is_saved_and_loaded() {
    let n_atoms = 1500;
    let config = json!({"couplings": 2, "hidden": 2, "blocks": 1});
    let model = Model::new(
        "realnvp",
        config,
        dense(n_atoms),
        chain(n_atoms),
        300.0,
        1,
        &Device::Cpu,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(header < 1_000_000, "{header}");
    let copy = Model::from_bytes(&bytes, &Device::Cpu).unwrap();
    assert_eq!(model.coordinates(), copy.coordinates());
    let [a, b] = [&model, &copy].map(|model| model.sample(2, 1, 0).unwrap());
    assert_eq!((a.positions, a.log_q), (b.positions, b.log_q));
}

#[test]
fn names_with_control_characters_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let frames: Vec<f64> = (0..1200).map(|k| f64::from(k * k % 101).sin()).collect();
    let options = crate::coordinates::CoordinateOptions::default();
    let kind = crate::coordinates::CoordinateKind::Gauge;
    let coordinates = Coordinates::fit(kind, &chain(4), &frames, &options).unwrap();
    for (element, residue) in [("C\0", "X"), ("C", "X\u{1b}[2J")] {
        let mut topology = chain(4);
        topology.atoms[1].element = element.to_owned();
        topology.residues[0].name = residue.to_owned();
        let config = json!({"couplings": 2, "hidden": 2, "blocks": 1});
        Model::new(
            "realnvp",
            config,
            coordinates.clone(),
            topology,
            300.0,
            1,
            &Device::Cpu,
        )
        .unwrap()
        .save(&path)
        .unwrap();
        let error = Model::load(&path, &Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("control character"), "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

/// A RealNVP of four atoms whose parameters are normal numbers of this standard deviation.
fn disturbed(deviation: f64) -> Model {
    use rand::{RngExt, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let mut normal = || random.sample::<f64, _>(rand_distr::StandardNormal);
    let rest = [0.0, 0.0, 0.0, 0.15, 0.0, 0.0, 0.2, 0.14, 0.0, 0.3, 0.2, 0.1];
    let frames: Vec<f64> = (0..200)
        .flat_map(|_| rest.map(|x| x + 0.01 * normal()))
        .collect();
    let options = crate::coordinates::CoordinateOptions::default();
    let kind = crate::coordinates::CoordinateKind::Gauge;
    let coordinates = Coordinates::fit(kind, &chain(4), &frames, &options).unwrap();
    let config = json!({"couplings": 12, "hidden": 8, "blocks": 1});
    let model = Model::new(
        "realnvp",
        config,
        coordinates,
        chain(4),
        300.0,
        1,
        &Device::Cpu,
    )
    .unwrap();
    let names: Vec<(String, Vec<usize>)> = model
        .parameters()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.dims().to_vec()))
        .collect();
    for (name, dims) in names {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (deviation * normal()) as f32).collect();
        let value = Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
        model.parameters().set(&name, &value).unwrap();
    }
    model
}

/// `log q` of samples of another seed, scored: what a user sees of it. 90 % differ by less.
fn seen(model: &Model) -> f64 {
    let drawn = model.sample(1000, 9, 0).unwrap();
    let scored = model.score(&drawn.positions).unwrap();
    let differences = drawn.log_q.iter().zip(&scored).map(|(a, b)| (a - b).abs());
    let mut differences: Vec<f64> = differences.filter(|d| d.is_finite()).collect();
    differences.sort_unstable_by(f64::total_cmp);
    differences[differences.len() * 9 / 10]
}

#[test]
fn directions_that_tell_different_densities_are_found() {
    let model = disturbed(0.05);
    let found = model.consistency(1000, 3).unwrap();
    assert!(found.is_sound() && found.warning().is_none(), "{found:?}");
    assert_eq!(found, model.consistency(1000, 3).unwrap());
    assert!(seen(&model) < 1e-3 && found.error < 1e-3 && found.round_trip < 1e-3);

    // The larger the parameters, the more such a flow contracts somewhere.
    let worse = (1..40).map(|k| disturbed(0.05 * f64::from(k)));
    let (found, model) = worse
        .map(|model| (model.consistency(1000, 3).unwrap(), model))
        .find(|(found, _)| !found.is_sound())
        .unwrap();
    let told = found.warning().unwrap();
    assert!(told.contains(&format!("{:.2} nats", found.error)), "{told}");
    assert!(
        found.error.is_finite() && found.median <= found.error,
        "{found:?}"
    );
    assert!(found.largest >= found.error, "{found:?}");
    let moves = crate::sample::Metropolis::new(
        std::sync::Arc::new(model),
        &crate::sample::MoveOptions::default(),
    );
    let refused = moves.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("cannot make exact moves"), "{refused}");
}
