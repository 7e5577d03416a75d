use std::path::PathBuf;

use crate::figures::Figures;
use crate::{Common, Outcome, inputs};

/// What a model file holds
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bg-sample inspect model.safetensors --json")]
pub struct Arguments {
    /// Model file
    model: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let model = inputs::model(common, &arguments.model)?;
    let header = model.header();
    let mut figures = Figures::default();
    let mut text = |key, value: String| figures.add(key, value.clone(), value);
    text("model", arguments.model.display().to_string());
    text(
        "architecture",
        format!(
            "{} {}",
            header.architecture.name, header.architecture.version
        ),
    );
    text("coordinates", header.coordinates.kind().to_string());
    figures.add(
        "architecture_config",
        header.architecture.config.clone(),
        header.architecture.config.to_string(),
    );
    let features = header.coordinates.n_features();
    let circular = header
        .coordinates
        .features()
        .iter()
        .filter(|f| f.kind == regflow::coordinates::FeatureKind::Circular)
        .count();
    figures.add("atoms", model.n_atoms(), model.n_atoms().to_string());
    figures.add(
        "features",
        features,
        format!("{features}, of them {circular} circular"),
    );
    let parameters = model.parameters().n_values();
    figures.add("parameters", parameters, parameters.to_string());
    figures.add(
        "temperature",
        header.temperature,
        format!("{} K", header.temperature),
    );
    match &header.training {
        Some(record) => figures.add(
            "training",
            record.clone(),
            serde_json::to_string_pretty(record)?,
        ),
        None => figures.warn("this model is not trained"),
    }
    figures.print(common)
}
