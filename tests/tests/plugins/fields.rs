//! Velocity fields: in Rust, in C, and with faults.

use super::build::{c_plugin, rust_plugin};
use super::{TestResult, features, flat, largest_difference, stir, waves};
use regflow::plugin::{self, Field, Molecule, Parameters, check_library};
use regflow::tensor::{DType, Device, Tensor};
use tempfile::TempDir;

#[test]
fn fields_give_velocities_divergences_and_gradients() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-stranger", &[], folder.path());
    let plugin = plugin::find::<Field>(&library.display().to_string())?;
    assert_eq!(
        (plugin.info().kind, plugin.info().circular),
        ("field", true)
    );
    let report = plugin.check("", &features("rcrcc"), &Molecule::default())?;
    assert_eq!(report.dtype, DType::F64);
    assert!(report.period < 1e-13, "{report:?}");
    assert!(
        report.divergence.is_some_and(|error| error < 1e-8),
        "{report:?}"
    );
    assert!(report.without_gradient.is_empty(), "{report:?}");

    // Against (1 + t) (sin(x) W + b), in f64 and f32.
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
        let mut parameters = Parameters::new(&Device::Cpu, dtype, 3);
        let field = plugin.build("", &features("rcr"), &Molecule::default(), &mut parameters)?;
        stir(&parameters);
        let x = waves(4, 3, dtype);
        let t = Tensor::new(&[0.0, 0.25, 0.5, 1.0], &Device::Cpu)?.to_dtype(dtype)?;
        let weight = parameters.get("weight").ok_or("no weight")?.as_tensor();
        let bias = parameters.get("bias").ok_or("no bias")?.as_tensor();
        let growth = (t.unsqueeze(1)? + 1.0)?;
        let expected = x.sin()?.matmul(weight)?.broadcast_add(bias)?;
        let expected = expected.broadcast_mul(&growth)?;
        assert!(largest_difference(&field.velocity(&x, &t)?, &expected) < tolerance);
        let (v, divergence) = field.velocity_and_divergence(&x, &t)?;
        assert!(largest_difference(&v, &expected) < tolerance);
        assert_eq!(divergence.dtype(), DType::F64);
        let (cos, weight) = (flat(&x.cos()?), flat(weight));
        let (growth, divergence) = (flat(&growth), flat(&divergence));
        for row in 0..4 {
            let sum: f64 = (0..3).map(|i| cos[3 * row + i] * weight[4 * i]).sum();
            assert!((divergence[row] - growth[row] * sum).abs() < 4.0 * tolerance);
        }
        // d sum(v) / d b is the sum of 1 + t.
        let gradients = v.sum_all()?.backward()?;
        let bias = gradients.get(bias).ok_or("no gradient")?;
        assert!(flat(bias).iter().all(|value| (value - 5.75).abs() < 1e-5));
        // Outside of what was agreed.
        let scalar = Tensor::new(0.5, &Device::Cpu)?.to_dtype(dtype)?;
        assert!(field.velocity(&x, &scalar).is_ok());
        for (x, t, message) in [
            (&x, &t.narrow(0, 0, 3)?, "t has shape [3], expected [4]"),
            (
                &x.narrow(1, 0, 2)?,
                &t,
                "x has shape [4, 2], expected [4, 3]",
            ),
        ] {
            let error = field.velocity(x, t).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
    Ok(())
}

#[test]
fn fields_that_break_the_rules_are_found_out() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-stranger", &[], folder.path());
    let plugin = plugin::find::<Field>(&library.display().to_string())?;
    let check = |fault: &str, kinds| {
        let config = format!(r#"{{"fault": "{fault}"}}"#);
        plugin.check(&config, &features(kinds), &Molecule::default())
    };
    for (fault, message) in [
        (
            "aperiodic",
            "after a turn of a circular feature, the velocity changes by 6.283e0 in feature 1",
        ),
        ("divergence", "the divergence is "),
        (
            "shape",
            "velocity: its output has shape [3, 1], expected [3, 3]",
        ),
        (
            "infinite",
            "velocity: its output is not finite in 9 places (first in row 0)",
        ),
        (
            "rows",
            "of a point alone instead of among others, the velocity changes by ",
        ),
        ("words", "plugin `waves` panicked in velocity: no words"),
    ] {
        let error = check(fault, "rcr").unwrap_err().to_string();
        assert!(error.contains(message), "{fault}: {error}");
    }
    // Without a circular feature there is no period to miss: but the divergence of x is.
    let error = check("aperiodic", "rrr").unwrap_err().to_string();
    assert!(error.contains("the divergence is "), "{error}");
    let report = check("unused", "rcr")?;
    assert_eq!(report.without_gradient, ["spare.weight"]);
    Ok(())
}

#[test]
fn fields_in_c_work() -> TestResult {
    let folder = TempDir::new()?;
    let library = c_plugin("decay.c", &[], folder.path(), "decay.so");
    let report = check_library(&library)?;
    let [report] = report.as_slice() else {
        panic!("{report:?}");
    };
    let checked = report.result.as_ref().map_err(ToString::to_string)?;
    assert_eq!((report.info.kind, &*report.info.name), ("field", "decay"));
    assert!(
        checked.summary.contains("divergence within "),
        "{checked:?}"
    );
    assert!(checked.warnings.is_empty(), "{checked:?}");

    let plugin = plugin::find::<Field>(&library.display().to_string())?;
    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
    let field = plugin.build("", &features("rrr"), &Molecule::default(), &mut parameters)?;
    parameters.set("k", &Tensor::new(&[[0.5f32]], &Device::Cpu)?)?;
    let (x, t) = (waves(5, 3, DType::F32), Tensor::new(0.5f32, &Device::Cpu)?);
    let (v, divergence) = field.velocity_and_divergence(&x, &t)?;
    assert_eq!(flat(&v), flat(&(x * -0.5)?));
    assert_eq!(flat(&divergence), [-1.5; 5]);
    let circular = plugin.build("", &features("rc"), &Molecule::default(), &mut parameters);
    let error = circular.unwrap_err().to_string();
    assert!(
        error.contains("does not understand circular features"),
        "{error}"
    );
    Ok(())
}
