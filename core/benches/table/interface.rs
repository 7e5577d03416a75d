//! What a plugin's tensor operation costs: called inside the host, and through the plugin interface.

use std::hint::black_box;

use regflow::plugin::{self, Molecule, Parameters, Plugin};
use regflow::tensor::{self, DType, Device, Tensor};
use regflow_plugin::abi::op;
use regflow_plugin::{Error, Feature, FeatureKind, Flow, ParameterBuilder};

use crate::Outcome;
use crate::measure::{Rival, Table, median_of_calls};

/// Operations per call.
const LENGTH: usize = 1000;

/// Changes the sign of its input again and again.
struct Chain;

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
struct Config {}

impl Flow for Chain {
    type Config = Config;
    const NAME: &'static str = "chain";
    const DESCRIPTION: &'static str = "A chain of small operations";
    const CIRCULAR: bool = false;

    fn build(_: Config, _: &[Feature], _: &ParameterBuilder<'_>) -> Result<Self, Error> {
        Ok(Chain)
    }

    fn forward(
        &self,
        x: &regflow_plugin::Tensor,
    ) -> Result<(regflow_plugin::Tensor, regflow_plugin::Tensor), Error> {
        let mut y = x.neg()?;
        for _ in 1..LENGTH {
            y = y.neg()?;
        }
        let log_det = y.sum(&[1])?;
        Ok((y, log_det))
    }

    fn inverse(
        &self,
        x: &regflow_plugin::Tensor,
    ) -> Result<(regflow_plugin::Tensor, regflow_plugin::Tensor), Error> {
        self.forward(x)
    }
}

pub fn rows(table: &mut Table) -> Outcome {
    let name = "operation through the plugin interface";
    if !table.wants(name) {
        return Ok(());
    }
    let x = Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?;
    let direct = || {
        let mut y = x.clone();
        for _ in 0..LENGTH {
            y = tensor::apply(op::NEG, &[&y], &[])?.swap_remove(0);
        }
        black_box(y);
        Ok(())
    };
    let feature = Feature {
        kind: FeatureKind::Real,
        atom: 0,
        axis: 0,
    };
    let flow = Plugin::<plugin::Flow>::of::<Chain>().build(
        "",
        &[feature],
        &Molecule::default(),
        &mut Parameters::new(&Device::Cpu, DType::F32, 0),
    )?;
    let through = || {
        black_box(flow.forward(&x)?);
        Ok(())
    };
    let per_operation = |seconds: f64| seconds / LENGTH as f64;
    let inside = table.row(
        "operation (NEG of one number), in the host",
        || median_of_calls(direct).map(per_operation),
        Rival::None,
        &|_| String::new(),
    )?;
    table.row(
        name,
        || median_of_calls(through).map(per_operation),
        Rival::None,
        &|seconds| format!("{:.0} ns more", (seconds - inside) * 1e9),
    )?;
    Ok(())
}
