//! Generation, likelihood and training steps of flows of 66 features (alanine dipeptide in Cartesian coordinates), of the
//! shapes that `benches/peers/flows.py` has.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use regflow::coordinates::{CoordinateKind, CoordinateOptions};
use regflow::dataset::{Dataset, DatasetOptions};
use regflow::model::{Model, ModelError};
use regflow::pairs::{PairOptions, Pairs};
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::{self, Device, Tensor};
use regflow::train::{Objective, Progress, Regression, Resources, Stage, TrainOptions, train};
use regflow_plugin::abi::op;
use serde_json::json;

use crate::Outcome;
use crate::measure::{Rival, TURN, Table, median_of_calls};
use crate::peer::Peer;

const HIDDEN: usize = 256;
const COUPLINGS: usize = 8;
const HALF: usize = 33;

/// An architecture with its batches and the numbers of each conditioner layer's inputs and outputs.
struct Case {
    name: &'static str,
    config: serde_json::Value,
    batches: [usize; 2],
    layers: Vec<(usize, usize)>,
}

impl Case {
    fn all() -> [Case; 2] {
        let spline_parameters = 3 * 8 - 1;
        let mut nsf = vec![(HALF, HIDDEN)];
        nsf.extend([(HIDDEN, HIDDEN); 4]);
        nsf.push((HIDDEN, HALF * spline_parameters));
        [
            Case {
                name: "realnvp",
                config: json!({
                    "couplings": COUPLINGS, "hidden": HIDDEN, "network": "plain", "blocks": 1, "scale_limit": 1.0,
                }),
                batches: [256, 4096],
                layers: vec![(HALF, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * HALF)],
            },
            Case {
                name: "nsf",
                config: json!({
                    "couplings": COUPLINGS, "hidden": HIDDEN, "blocks": 2, "activation": "relu", "real": "spline", "bins": 8,
                    "tail_bound": 5.0,
                }),
                batches: [256, 2048],
                layers: nsf,
            },
        ]
    }

    /// Floating-point operations of the matrix products per row; a training step has three times as many, but no
    /// gradient of the flow's input.
    fn operations(&self, training: bool) -> f64 {
        let products = |layers: &[(usize, usize)]| -> usize {
            layers.iter().map(|(n_in, n_out)| 2 * n_in * n_out).sum()
        };
        let forward = COUPLINGS * products(&self.layers);
        let input = products(&self.layers[..1]);
        (if training {
            3 * forward - input
        } else {
            forward
        }) as f64
    }
}

pub fn rows(table: &mut Table) -> Outcome {
    let mut peak = None;
    for case in Case::all() {
        let name = |what: &str, batch| format!("{what}, {}, batch {batch}", case.name);
        let product = "product of 2048 x 2048 matrices";
        let rows = ["generation", "likelihood", "training step"];
        let wanted =
            |table: &Table, what: &str| case.batches.iter().any(|&b| table.wants(&name(what, b)));
        if !rows.iter().any(|what| wanted(table, what)) && !table.wants(product) {
            continue;
        }
        let batches = case.batches.map(|batch| batch.to_string());
        let arguments = [
            OsStr::new(case.name),
            batches[0].as_ref(),
            batches[1].as_ref(),
        ];
        let mut peer = Peer::start("flows.py", &arguments)?;
        let peer_name = peer
            .as_ref()
            .map(|peer| peer.name.clone())
            .unwrap_or_default();
        let peak = match peak {
            Some(peak) => peak,
            None => {
                let seconds = table.row(
                    product,
                    matrix_product,
                    Rival::of(&mut peer, "product", 1.0),
                    &|seconds| format!("{:.0} GFLOP/s; {peer_name}", PRODUCT / seconds / 1e9),
                )?;
                *peak.insert(PRODUCT / seconds)
            }
        };
        let mut bench = Bench::new(&case)?;
        for (what, work) in [
            ("generation", "generate"),
            ("likelihood", "likelihood"),
            ("training step", "train"),
        ] {
            for batch in case.batches {
                let name = name(what, batch);
                if !table.wants(&name) {
                    continue;
                }
                let operations = case.operations(work == "train") * batch as f64;
                let remark = |seconds: f64| {
                    let rate = operations / seconds;
                    format!(
                        "{:.0} GFLOP/s, {:.0} % of the product; {peer_name}",
                        rate / 1e9,
                        100.0 * rate / peak
                    )
                };
                let work_there = format!("{work} {batch}");
                let rival = Rival::of(&mut peer, &work_there, 1.0);
                match work {
                    "train" => table.row(&name, || bench.training_step(batch), rival, &remark)?,
                    _ => table.row(
                        &name,
                        || bench.map(batch, work == "likelihood"),
                        rival,
                        &remark,
                    )?,
                };
            }
        }
    }
    Ok(())
}

fn boxed(error: impl Into<ModelError>) -> Box<ModelError> {
    Box::new(error.into())
}

/// Operations of a product of 2048 x 2048 matrices.
const PRODUCT: f64 = 2.0 * 2048.0 * 2048.0 * 2048.0;

fn matrix_product() -> Outcome<f64> {
    let matrix = || Tensor::randn(0f32, 1.0, (2048, 2048), &Device::Cpu);
    let (a, b) = (matrix()?, matrix()?);
    median_of_calls(|| {
        tensor::apply(op::MATMUL, &[&a, &b], &[])?;
        Ok(())
    })
}

struct Bench {
    model: Model,
    dataset: Dataset,
    pairs: Pairs,
}

impl Bench {
    fn new(case: &Case) -> Outcome<Self> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
        let topology = Topology::read(&data.join("topology.pdb"))?;
        let trajectory = [data.join("trajectory.dcd")];
        let frames =
            Trajectory::open(&trajectory, &topology, &ReadOptions::default())?.read_all()?;
        let dataset = Dataset::new(frames.positions, &topology, &DatasetOptions::default())?;
        let options = CoordinateOptions::default();
        let coordinates =
            dataset.fit_coordinates(CoordinateKind::Cartesian, &topology, &options)?;
        let config = case.config.clone();
        let model = Model::new(
            case.name,
            config,
            coordinates,
            topology,
            300.0,
            0,
            &Device::Cpu,
        )?;
        let pairs = PairOptions {
            source: "ot".into(),
            config: json!({}),
            count: 1000,
            directory: None,
            seed: 0,
        };
        let pairs = Pairs::make(&model, &dataset, &pairs)?;
        Ok(Bench {
            model,
            dataset,
            pairs,
        })
    }

    /// Median seconds of the flow, or of its inverse, on a batch, divided into calls as [`Model::sample`] does it.
    fn map(&self, batch: usize, inverse: bool) -> Outcome<f64> {
        let dimension = self.model.prior().dimension();
        let x = self.model.prior().sample(0, 0, batch);
        let rows = self.model.rows_per_call(batch);
        median_of_calls(|| {
            x.par_chunks(rows * dimension).try_for_each(|x| {
                let shape = (x.len() / dimension, dimension);
                let x = Tensor::from_slice(x, shape, self.model.device()).map_err(boxed)?;
                let flow = self.model.flow();
                let result = if inverse {
                    flow.inverse(&x)
                } else {
                    flow.forward(&x)
                };
                result.map(drop).map_err(boxed)
            })?;
            Ok(())
        })
    }

    /// Median seconds of the steps of a run: batches of pairs drawn, gradients, optimiser, moving average.
    fn training_step(&mut self, batch: usize) -> Outcome<f64> {
        let options = TrainOptions::single(Stage {
            objective: Objective::Regression(Regression::default()),
            batch,
            learning_rate: 5e-4,
            ..Stage::default()
        });
        let resources = Resources {
            pairs: Some(&self.pairs),
            ..Resources::default()
        };
        let begin = Instant::now();
        let (mut last, mut times) = (begin, Vec::new());
        let mut observe = |progress: &Progress| {
            // The first step begins with the run, whose preparations do not count.
            if progress.step > 1 && progress.validation.is_none() {
                times.push(last.elapsed().as_secs_f64());
            }
            last = Instant::now();
            if times.len() >= 3 && begin.elapsed() > TURN {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        train(
            &mut self.model,
            &self.dataset,
            resources,
            &options,
            &mut observe,
        )?;
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}
