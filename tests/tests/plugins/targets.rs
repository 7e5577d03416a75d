//! Target sources: in Rust, in C, and with faults.

use super::TestResult;
use super::build::{c_plugin, rust_plugin};
use regflow::plugin::{self, DataSide, FeatureKind, PluginError, Target, Task, check_library};
use std::f64::consts::TAU;
use tempfile::TempDir;

const KINDS: [FeatureKind; 2] = [FeatureKind::Real, FeatureKind::Circular];

/// `n` made-up points in (-3, 3).
fn points(n: usize) -> Vec<f32> {
    (0..2 * n).map(|i| 3.0 * (1.3 * i as f32).sin()).collect()
}

#[test]
fn rows_outside_the_data_are_refused() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-panicking", &[], folder.path());
    let target = plugin::find::<Target>(&library.display().to_string())?.build("")?;
    let (x0, x1) = ([0.0; 4], [0.0; 6]);
    let task = Task::new(&x0, &x1, &KINDS, 0);
    let error = target.pair(&task).unwrap_err().to_string();
    assert_eq!(
        error,
        "plugin `out-of-range`: prior point 0 is paired with data point 3, but there are 3"
    );
    let stopped = target.pair(&Task {
        progress: &|_| false,
        threads: 1,
        ..task
    });
    assert!(
        matches!(stopped, Err(PluginError::Stopped { .. })),
        "{stopped:?}"
    );
    let odd = Task {
        x0: &x0[..3],
        ..task
    };
    assert!(matches!(
        target.pair(&odd),
        Err(PluginError::Points { found: 3, .. })
    ));
    Ok(())
}

#[test]
fn sources_in_c_give_points_with_their_density() -> TestResult {
    let folder = TempDir::new()?;
    let library = c_plugin("drift.c", &[], folder.path(), "drift.so");
    let report = check_library(&library)?;
    let checked = report[0].result.as_ref().map_err(ToString::to_string)?;
    assert!(
        checked
            .summary
            .contains("points of its own, with density and log-determinant")
    );

    let target = plugin::find::<Target>(&library.display().to_string())?.build("")?;
    let (x0, x1) = (points(7), points(2));
    let pairing = target.pair(&Task::new(&x0, &x1, &KINDS, 0))?;
    assert_eq!(pairing.x0, None);
    let DataSide::Points(found) = &pairing.data else {
        panic!("{pairing:?}");
    };
    assert_eq!(&pairing.points(&x1, 2), found);
    assert_eq!(pairing.log_det, Some(vec![2f64.ln(); 7]));
    let log_q = pairing.log_q.ok_or("no density")?;
    for ((x0, x1), log_q) in x0.chunks(2).zip(found.chunks(2)).zip(log_q) {
        assert_eq!(x1[0], 2.0 * x0[0] + 1.0);
        // Whatever representative the plugin gave, the host has it in (-pi, pi].
        let turned = f64::from(x0[1] + 3.0);
        let angle = turned - TAU * (turned / TAU).round();
        assert!((f64::from(x1[1]) - angle).abs() < 1e-6, "{x1:?}");
        let normal = -0.5 * f64::from(x0[0]).powi(2) - 0.5 * TAU.ln();
        assert!((log_q - (normal - TAU.ln() - 2f64.ln())).abs() < 1e-7);
    }
    let none = target.pair(&Task::new(&[], &x1, &KINDS, 0))?;
    assert!(none.points(&x1, 2).is_empty());
    let stopped = target.pair(&Task {
        progress: &|_| false,
        ..Task::new(&x0, &x1, &KINDS, 0)
    });
    assert!(
        matches!(stopped, Err(PluginError::Stopped { .. })),
        "{stopped:?}"
    );
    Ok(())
}

#[test]
fn sources_that_break_the_rules_are_found_out() -> TestResult {
    let folder = TempDir::new()?;
    let (x0, x1) = (points(7), points(2));
    for (fault, message) in [
        (
            "NAN",
            "x1 of the pairs is not finite in 1 places (first in row 0)",
        ),
        (
            "INFINITE",
            "log_det of the pairs is not finite in 1 places (first in row 1)",
        ),
        (
            "BOTH",
            "data sides: expected either `rows` or `x1`, found both",
        ),
        (
            "ARRAYS",
            "log_q: expected an array as in the first batch, found none",
        ),
        (
            "ROW",
            "prior point 1 is paired with data point 2, but there are 2",
        ),
        (
            "BATCH_SIZE",
            "bytes of a batch: expected at least 56, found 48",
        ),
        ("MANY", "number of pairs: expected at most 7 more, found 8"),
        ("FEW", "number of pairs: expected 7, found 3"),
    ] {
        let name = format!("{fault}.so");
        // Heard by a source that passes the host's refusal on, or not.
        for more in [&[][..], &["FAULT_DEAF"]] {
            let fault = format!("FAULT_{fault}");
            let defines = [&[&*fault][..], more].concat();
            let name = format!("{}{name}", more.len());
            let library = c_plugin("drift.c", &defines, folder.path(), &name);
            let target = plugin::find::<Target>(&library.display().to_string())?.build("")?;
            let error = target.pair(&Task::new(&x0, &x1, &KINDS, 0));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(message), "{fault}: {error}");
        }
    }
    let library = c_plugin("drift.c", &["FAULT_DENSITY"], folder.path(), "density.so");
    let report = check_library(&library)?;
    let error = report[0].result.as_ref().unwrap_err().to_string();
    assert!(error.contains("a pair's log density is "), "{error}");
    Ok(())
}

#[test]
fn sources_in_rust_give_points_and_draw_from_the_seed() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-stranger", &[], folder.path());
    let plugin = plugin::find::<Target>(&library.display().to_string())?;
    let report = check_library(&library)?;
    assert!(
        report.iter().all(|report| report.result.is_ok()),
        "{report:?}"
    );
    let (x0, x1) = (points(5), points(2));
    let pair = |fault: &str, seed| {
        let config = format!(r#"{{"fault": "{fault}"}}"#);
        plugin
            .build(&config)?
            .pair(&Task::new(&x0, &x1, &KINDS, seed))
    };
    let pairing = pair("none", 1)?;
    let expected: Vec<f32> = x0.chunks(2).flat_map(|x| [0.5 * x[0], x[1]]).collect();
    assert_eq!(pairing.data, DataSide::Points(expected));
    assert_eq!(pairing.log_det, Some(vec![0.5f64.ln(); 5]));
    // Its own prior side, with angles brought back to (-pi, pi].
    let own = pair("own_prior", 1004)?.x0.ok_or("no prior side")?;
    assert!(
        own.chunks(2)
            .all(|x| x[0] == 4.0 && (x[1] - (4.0 - TAU as f32)).abs() < 1e-6)
    );
    let error = pair("few", 1).unwrap_err().to_string();
    assert!(
        error.contains("log densities of the pairing: expected shape [5], found [1]"),
        "{error}"
    );
    let error = pair("words", 1).unwrap_err().to_string();
    assert_eq!(error, "plugin `half` panicked in pair: no words");
    Ok(())
}

#[test]
fn transport_is_the_same_from_a_library_of_its_own() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-ot", &["export"], folder.path());
    let report = check_library(&library)?;
    let checked = report[0].result.as_ref().map_err(ToString::to_string)?;
    assert_eq!(checked.summary, "pairs a small set with data points");
    let (x0, mut x1) = (points(60), points(60));
    x1.rotate_left(31);
    let pair = |name: &str| {
        let target = plugin::find::<Target>(name)?.build(r#"{"block": 25}"#)?;
        target.pair(&Task::new(&x0, &x1, &KINDS, 0))
    };
    let (inside, outside) = (pair("ot")?, pair(&library.display().to_string())?);
    assert_eq!(inside, outside);
    let DataSide::Rows(mut rows) = inside.data else {
        return Err("transport is an assignment".into());
    };
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..60));
    Ok(())
}
