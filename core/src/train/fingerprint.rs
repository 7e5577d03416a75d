//! What the bits of a run depend on.

use std::collections::BTreeMap;

use super::TrainOptions;
use crate::dataset::Dataset;
use crate::math::Fnv;
use crate::model::Model;
use crate::pairs::Pairs;

/// What a run depends on, by name: a checkpoint continues only a run for which all of it is the same.
pub(super) type Fingerprint = BTreeMap<String, serde_json::Value>;

/// That of a run which begins with the parameters `initial`.
pub(super) fn fingerprint(
    model: &Model,
    dataset: &Dataset,
    pairs: Option<&Pairs>,
    options: &TrainOptions,
    initial: &[f32],
) -> Fingerprint {
    let json = |value: serde_json::Result<serde_json::Value>| value.unwrap_or_default();
    let mut parameters = Fnv::default();
    for value in initial {
        parameters.add(&value.to_le_bytes());
    }
    let mut run = Fingerprint::from([
        (
            "architecture".into(),
            json(serde_json::to_value(&model.header().architecture)),
        ),
        (
            "coordinates".into(),
            model.coordinates().fingerprint().into(),
        ),
        ("temperature".into(), model.temperature().into()),
        ("frames".into(), dataset.fingerprint().into()),
        ("initial parameters".into(), parameters.finish().into()),
        ("seed".into(), options.seed.into()),
    ]);
    if let Some(pairs) = pairs {
        run.insert("pairs".into(), json(serde_json::to_value(pairs.describe())));
    }
    for (index, stage) in options.stages.iter().enumerate() {
        run.insert(
            format!("stage {}", index + 1),
            json(serde_json::to_value(stage)),
        );
    }
    run
}
