//! Damaged model files: whatever is wrong with one, loading it gives an error, or a model that can be used; never a panic, and
//! never more memory than the file itself accounts for. The mutations are the same in every run; `tests/fuzz` looks further.

use std::collections::HashMap;
use std::f64::consts::PI;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regflow::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use regflow::model::Model;
use regflow::system::Topology;
use regflow::tensor::Device;
use regflow_tests::native::water_topology;
use serde_json::{Value, json};

/// The bytes of a small model of each kind.
fn models() -> Vec<(String, Vec<u8>)> {
    let topology = Topology::read(&water_topology()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut uniform = || random.random::<f64>();
    let frames: Vec<f64> = (0..40)
        .flat_map(|_| {
            let (r, s, angle) = (
                0.09 + 0.02 * uniform(),
                0.09 + 0.02 * uniform(),
                PI * (0.3 + 0.4 * uniform()),
            );
            [
                0.0,
                0.0,
                0.0,
                r,
                0.0,
                0.0,
                s * angle.cos(),
                s * angle.sin(),
                0.0,
            ]
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut models = Vec::new();
    for kind in [
        CoordinateKind::Internal,
        CoordinateKind::Gauge,
        CoordinateKind::Cartesian,
    ] {
        let coordinates =
            Coordinates::fit(kind, &topology, &frames, &CoordinateOptions::default()).unwrap();
        for architecture in ["realnvp", "nsf"] {
            let config = json!({"couplings": 2, "hidden": 4, "blocks": 1});
            let coordinates = coordinates.clone();
            let model = Model::new(
                architecture,
                config,
                coordinates,
                topology.clone(),
                300.0,
                1,
                &Device::Cpu,
            )
            .unwrap();
            model.save(&path).unwrap();
            models.push((
                format!("{kind} {architecture}"),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    models
}

/// Loads and, where that succeeds, uses a model. Says which.
fn load(bytes: &[u8], what: &dyn Fn() -> String) -> bool {
    let used = catch_unwind(AssertUnwindSafe(|| {
        let model = match Model::from_bytes(bytes, &Device::Cpu) {
            Ok(model) => model,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return false;
            }
        };
        if let Ok(samples) = model.sample(2, 1, 0) {
            // An error is fine, and so is a density that is none.
            let _ = model.log_density(&samples.positions);
        }
        true
    }));
    used.unwrap_or_else(|_| panic!("{}: it panics", what()))
}

/// A model file, taken apart: JSON of the header, metadata of the tensors, their bytes.
struct Parts {
    header: Value,
    tensors: Value,
    data: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut tensors: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let metadata = tensors
            .as_object_mut()
            .unwrap()
            .remove("__metadata__")
            .unwrap();
        Parts {
            header: serde_json::from_str(metadata["regflow"].as_str().unwrap()).unwrap(),
            tensors,
            data: bytes[8 + length..].to_vec(),
        }
    }

    fn join(&self) -> Vec<u8> {
        let mut tensors = self.tensors.clone();
        if let Value::Object(fields) = &mut tensors {
            let metadata = json!({"regflow": self.header.to_string()});
            fields.insert("__metadata__".into(), metadata);
        }
        let mut text = tensors.to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        [&(text.len() as u64).to_le_bytes()[..], &text, &self.data].concat()
    }
}

/// Pointers to all values inside a JSON value.
fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{i}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(field, &format!("{at}/{name}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// What a value may turn into.
fn replacements(value: &Value) -> Vec<Value> {
    let mut others = vec![
        Value::Null,
        json!(0),
        json!(-1),
        json!(1),
        json!(3.5),
        json!(1e300),
        json!(1e-300),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!(true),
        json!([]),
        json!({}),
    ];
    match value {
        Value::Array(items) => {
            others.push(json!([items.clone(), items.clone()].concat()));
            others.push(json!(items[..items.len().saturating_sub(1)]));
            others.push(json!(items.iter().rev().collect::<Vec<_>>()));
        }
        Value::Object(fields) => {
            for name in fields.keys() {
                let mut fewer = fields.clone();
                fewer.remove(name);
                others.push(Value::Object(fewer));
            }
        }
        _ => {}
    }
    others
}

#[test]
fn the_models_themselves_load() {
    for (name, bytes) in models() {
        assert!(load(&bytes, &|| name.clone()), "{name}");
        assert!(
            load(&Parts::of(&bytes).join(), &|| name.clone()),
            "{name}, taken apart and joined"
        );
    }
}

/// Every value of the header, and of the description of the tensors, becomes something else.
#[test]
fn headers_with_other_values() {
    let mut loaded: HashMap<bool, usize> = HashMap::new();
    for (name, bytes) in models() {
        let parts = Parts::of(&bytes);
        for in_header in [true, false] {
            let original = if in_header {
                &parts.header
            } else {
                &parts.tensors
            };
            for pointer in pointers(original) {
                for other in replacements(original.pointer(&pointer).unwrap()) {
                    let mut changed = original.clone();
                    *changed.pointer_mut(&pointer).unwrap() = other.clone();
                    let parts = if in_header {
                        Parts {
                            header: changed,
                            tensors: parts.tensors.clone(),
                            data: parts.data.clone(),
                        }
                    } else {
                        Parts {
                            header: parts.header.clone(),
                            tensors: changed,
                            data: parts.data.clone(),
                        }
                    };
                    let what = || format!("{name}, {pointer} = {other}");
                    *loaded.entry(load(&parts.join(), &what)).or_default() += 1;
                }
            }
        }
    }
    // Names of atoms and the like may be anything; most values may not.
    assert!(
        loaded[&true] > 0 && loaded[&false] > 5 * loaded[&true],
        "{loaded:?}"
    );
}

/// Files that end early, and files with bytes changed, mostly in the header.
#[test]
fn truncated_and_flipped_files() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for (name, bytes) in models() {
        for length in (0..bytes.len()).step_by(7) {
            assert!(!load(&bytes[..length], &|| format!(
                "{name}, first {length} bytes"
            )));
        }
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for case in 0..1500 {
            let mut changed = bytes.clone();
            let end = if case % 4 == 0 { bytes.len() } else { header };
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..end);
                changed[at] = match random.random_range(0..3) {
                    0 => changed[at] ^ (1 << random.random_range(0..8)),
                    1 => b'0' + random.random_range(0..10),
                    _ => random.random(),
                };
            }
            load(&changed, &|| format!("{name}, flips of case {case}"));
        }
    }
}
