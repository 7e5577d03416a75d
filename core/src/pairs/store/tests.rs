use super::*;
use crate::coordinates::FeatureKind::{Circular, Real};
use regflow_plugin::target::table;
use regflow_plugin::{Budget, PairedPoints, Pairing, Points, TargetSource};
use std::collections::BTreeMap;

const N: usize = 300;

fn prior() -> Prior {
    Prior::new(vec![Real, Circular])
}

fn data(first: usize, count: usize) -> Result<Vec<f32>, PairsError> {
    Ok((2 * first..2 * (first + count))
        .map(|i| (i as f32).sin())
        .collect())
}

fn options(directory: Option<&Path>) -> PairOptions {
    PairOptions {
        source: "ot".into(),
        config: serde_json::json!({ "block": 100 }),
        count: N,
        directory: directory.map(Path::to_owned),
        seed: 5,
    }
}

fn make(options: &PairOptions) -> Result<Pairs, PairsError> {
    make_in_shards(options, SHARD)
}

fn make_in_shards(options: &PairOptions, most: usize) -> Result<Pairs, PairsError> {
    let target = plugin::find::<Target>("ot")?.build(&options.config.to_string())?;
    Pairs::from_source(prior(), &target, data, data(5000, 40)?, options, most)
}

fn sorted(values: &[f32]) -> Vec<[f32; 2]> {
    let mut rows: Vec<[f32; 2]> = values.chunks_exact(2).map(|r| [r[0], r[1]]).collect();
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    rows
}

#[test]
fn an_epoch_holds_every_point_once_and_pairs_stay_together() {
    let pairs = make(&options(None)).expect("made");
    assert_eq!(pairs.len(), N);
    let (x0, x1) = pairs.batch(0, N, 0.0, 1).expect("batch");
    assert_eq!(
        sorted(&x0),
        sorted(&prior().sample(Streams::new(Purpose::Pairs, 5), 0, N))
    );
    assert_eq!(sorted(&x1), sorted(&data(0, N).expect("data")));
    let cost = squared_distance(&x0, &x1, prior().kinds()) / N as f64;
    assert!((cost / pairs.mean_cost() - 1.0).abs() < 1e-12);
    // Far less than unpaired points cost.
    let unpaired = squared_distance(
        &prior().sample(Streams::new(Purpose::Pairs, 5), 0, N),
        &data(0, N).expect("data"),
        prior().kinds(),
    );
    assert!(cost < 0.9 * unpaired / N as f64);
    // Another epoch and another seed have other orders; parts of a batch are the same as the whole.
    assert_ne!(pairs.batch(0, N, 0.0, 2).expect("batch").0, x0);
    assert_ne!(pairs.batch(N, N, 0.0, 1).expect("batch").0, x0);
    let (whole, _) = pairs.batch(250, 700, 0.0, 1).expect("batch");
    let mut parts = pairs.batch(250, 1, 0.0, 1).expect("batch").0;
    parts.extend(pairs.batch(251, 699, 0.0, 1).expect("batch").0);
    assert_eq!(whole, parts);
    assert_eq!(pairs.validation().0.len(), 80);
}

#[test]
fn an_epoch_of_several_shards_holds_every_pair_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let on_disk = make_in_shards(&options(Some(folder.path())), 70).expect("made");
    let in_memory = make_in_shards(&options(None), 70).expect("made");
    assert!(Shard::path(folder.path(), 4).exists() && !Shard::path(folder.path(), 5).exists());
    for epoch in 0..3 {
        let (x0, x1) = on_disk.batch(epoch * N, N, 0.0, 1).expect("batch");
        assert_eq!(
            (x0.clone(), x1.clone()),
            in_memory.batch(epoch * N, N, 0.0, 1).expect("batch")
        );
        assert_eq!(
            sorted(&x0),
            sorted(&prior().sample(Streams::new(Purpose::Pairs, 5), 0, N))
        );
        assert_eq!(sorted(&x1), sorted(&data(0, N).expect("data")));
        let cost = squared_distance(&x0, &x1, prior().kinds()) / N as f64;
        assert!((cost / on_disk.mean_cost() - 1.0).abs() < 1e-12);
    }
    // Batches that cross shards and epochs.
    let (whole, _) = on_disk.batch(10, 2 * N, 0.0, 1).expect("batch");
    let parts = (0..6).flat_map(|k| on_disk.batch(10 + 100 * k, 100, 0.0, 1).expect("batch").0);
    assert_eq!(whole, parts.collect::<Vec<f32>>());
    // A shard that vanishes or is damaged in the middle of training is an error.
    let bytes = std::fs::read(Shard::path(folder.path(), 2)).expect("bytes");
    std::fs::write(Shard::path(folder.path(), 2), &bytes[..200]).expect("cut");
    std::fs::remove_file(Shard::path(folder.path(), 3)).expect("removed");
    assert!(matches!(
        on_disk.batch(0, N, 0.0, 2),
        Err(PairsError::Shard { .. } | PairsError::Read { .. })
    ));
}

#[test]
fn noise_has_its_width() {
    let pairs = make(&options(None)).expect("made");
    let count = 20 * N;
    let (_, plain) = pairs.batch(0, count, 0.0, 1).expect("batch");
    let (_, noisy) = pairs.batch(0, count, 0.1, 1).expect("batch");
    let squares: f64 = plain
        .iter()
        .zip(&noisy)
        .map(|(a, b)| f64::from(b - a).powi(2))
        .sum();
    let variance = squares / (2 * count) as f64;
    // The standard error of the variance is 0.01 sqrt(2 / 12000).
    assert!(
        (variance - 0.01).abs() < 4.0 * 0.01 * (2.0 / (2 * count) as f64).sqrt(),
        "{variance}"
    );
}

#[test]
fn shards_are_used_again_only_for_the_same_pairs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let first = make(&options(Some(folder.path()))).expect("made");
    let in_memory = make(&options(None)).expect("made");
    let batch = |pairs: &Pairs| pairs.batch(7, 2 * N, 0.0, 1).expect("batch");
    assert_eq!(batch(&first), batch(&in_memory));
    let path = Shard::path(folder.path(), 0);
    let written = || {
        std::fs::metadata(&path)
            .and_then(|m| m.modified())
            .expect("shard")
    };
    let time = written();
    let again = make(&options(Some(folder.path()))).expect("read");
    assert_eq!((written(), batch(&again)), (time, batch(&first)));
    let other = PairOptions {
        seed: 6,
        ..options(Some(folder.path()))
    };
    let other = make(&other).expect("made anew");
    assert_ne!(batch(&other), batch(&first));
    assert_eq!(Shard::read(&path).expect("shard").header.prior_seed, 6);
    // A damaged shard is an error, and not replaced unasked.
    let bytes = std::fs::read(&path).expect("bytes");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("cut");
    assert!(matches!(
        make(&options(Some(folder.path()))),
        Err(PairsError::Shard { .. })
    ));
}

#[test]
fn given_pairs_are_split_and_kept_together() {
    let values: Vec<f32> = (0..200).map(|i| i as f32).collect();
    let shifted: Vec<f32> = values.iter().map(|v| v + 0.5).collect();
    let given = PairRows {
        log_q: Some(values.iter().step_by(2).map(|&v| f64::from(v)).collect()),
        x0: values,
        x1: shifted,
        log_det: None,
    };
    let made = |rows: &PairRows| Pairs::given(Prior::new(vec![Real, Real]), rows, &options(None));
    // What it is validated on is not what it is trained on.
    let first: Vec<u32> = (0..10).collect();
    let error = made(&given.select(&first, 2)).err().expect("too few");
    assert!(
        error.to_string().contains("10 pairs") && error.to_string().contains("at least 11"),
        "{error}"
    );
    let first: Vec<u32> = (0..11).collect();
    let few = made(&given.select(&first, 2)).expect("enough");
    assert_eq!((few.len(), few.validation().0.len()), (10, 2));
    let pairs = made(&given).expect("enough");
    assert_eq!((pairs.len(), pairs.validation().0.len()), (95, 10));
    assert!((pairs.mean_cost() - 0.5).abs() < 1e-12);
    let (x0, x1) = pairs.batch(0, 95, 0.0, 3).expect("batch");
    assert!(x0.iter().zip(&x1).all(|(a, b)| b - a == 0.5));
    let rows = pairs.batch_rows(90, 100, 0.5, 3).expect("batch");
    let log_q = rows.log_q.expect("as given");
    assert!(
        log_q
            .iter()
            .zip(rows.x0.chunks(2))
            .all(|(q, x)| *q == f64::from(x[0]))
    );
    assert!(pairs.describe().source == "ot");
}

#[test]
fn nothing_to_make_is_an_error() {
    let none = PairOptions {
        count: 0,
        ..options(None)
    };
    assert!(matches!(make(&none), Err(PairsError::NoPairs)));
}

#[test]
fn circular_differences_wrap() {
    let cost = squared_distance(&[3.0, 3.0], &[-3.0, -3.0], &[Real, Circular]);
    assert!((cost - 36.0 - (std::f64::consts::TAU - 6.0).powi(2)).abs() < 1e-6);
}

/// Halves the prior's points, or with `OWN` points of its own, and knows their densities up to the prior's constants.
struct Half<const OWN: bool>;

impl<const OWN: bool> TargetSource for Half<OWN> {
    type Config = BTreeMap<String, f64>;
    const NAME: &'static str = "half";
    const DESCRIPTION: &'static str = "Halves";

    fn build(_config: Self::Config) -> regflow_plugin::Result<Self> {
        Ok(Half)
    }

    fn pair(
        &self,
        x0: Points<'_>,
        _x1: Points<'_>,
        _kinds: &[regflow_plugin::FeatureKind],
        budget: &Budget<'_>,
    ) -> regflow_plugin::Result<Pairing> {
        let mut prior = x0.values.to_vec();
        if OWN {
            let shift = (budget.seed % 8) as f32 / 8.0;
            prior.iter_mut().step_by(2).for_each(|x| *x += shift);
        }
        let density = |x: &[f32]| f64::from(x[0] - x[1]);
        Ok(Pairing::Points(PairedPoints {
            x1: prior.iter().map(|x| 0.5 * x).collect(),
            log_q: Some(prior.chunks(2).map(density).collect()),
            log_det: Some(prior.chunks(2).map(|x| f64::from(x[1])).collect()),
            x0: OWN.then_some(prior),
        }))
    }
}

fn points_of_its_own<const OWN: bool>() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let source = plugin::Plugin::<Target>::of_table(table::<Half<OWN>>());
    let source = source.build("").expect("built");
    let make = |directory| {
        let options = PairOptions {
            config: serde_json::json!({}),
            ..options(directory)
        };
        let held_out = data(5000, 40).expect("data");
        Pairs::from_source(prior(), &source, data, held_out, &options, 70).expect("made")
    };
    let pairs = make(Some(folder.path()));
    let given = prior().sample(Streams::new(Purpose::Pairs, 5), 0, N);
    let rows = pairs.batch_rows(0, N, 0.0, 1).expect("batch");
    assert_eq!(sorted(&rows.x0) == sorted(&given), !OWN);
    for rows in [&rows, pairs.validation_rows()] {
        let (log_q, log_det) = (
            rows.log_q.as_ref().expect("q"),
            rows.log_det.as_ref().expect("det"),
        );
        let each = rows
            .x0
            .chunks(2)
            .zip(rows.x1.chunks(2))
            .zip(log_q.iter().zip(log_det));
        assert_eq!(each.len(), log_q.len());
        for ((x0, x1), (log_q, log_det)) in each {
            assert_eq!(x1, [0.5 * x0[0], 0.5 * x0[1]]);
            assert_eq!(
                (*log_q, *log_det),
                (f64::from(x0[0] - x0[1]), f64::from(x0[1]))
            );
        }
    }
    // Half the distance to the origin, with the shards' own prior side.
    let squares = rows.x0.iter().map(|&x| f64::from(0.5 * x).powi(2));
    let cost = squares.sum::<f64>() / N as f64;
    assert!((cost / pairs.mean_cost() - 1.0).abs() < 1e-9);
    // Across shards and epochs, from memory and from shards that are read again, noise on the data side alone.
    let again = make(Some(folder.path()));
    let in_memory = make(None);
    let batch = pairs.batch_rows(250, 2 * N, 0.0, 1).expect("batch");
    assert_eq!(again.batch_rows(250, 2 * N, 0.0, 1).expect("batch"), batch);
    assert_eq!(
        in_memory.batch_rows(250, 2 * N, 0.0, 1).expect("batch"),
        batch
    );
    let noisy = pairs.batch_rows(250, 2 * N, 0.1, 1).expect("batch");
    assert_ne!(noisy.x1, batch.x1);
    assert_eq!(
        (noisy.x0, noisy.log_q, noisy.log_det),
        (batch.x0, batch.log_q, batch.log_det)
    );
    let shard = Shard::read(&Shard::path(folder.path(), 2)).expect("shard");
    assert_eq!(shard.x0.is_some(), OWN);
    // Each shard has a seed of its own, which the seed of the run decides.
    assert_ne!(target_seed(5, 0), target_seed(5, 60));
    assert_ne!(target_seed(5, 0), target_seed(6, 0));
}

#[test]
fn sources_may_give_points_with_their_density() {
    points_of_its_own::<false>();
    points_of_its_own::<true>();
}
