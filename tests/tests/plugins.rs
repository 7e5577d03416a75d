//! Plugins through the public interface: linked in, separately compiled, in C, and bad ones.

#[path = "plugins/build.rs"]
mod build;
#[path = "plugins/direct.rs"]
mod direct;
#[path = "plugins/fields.rs"]
mod fields;
#[path = "plugins/search.rs"]
mod search;
#[path = "plugins/targets.rs"]
mod targets;
#[path = "plugins/templates.rs"]
mod templates;
#[path = "plugins/versions.rs"]
mod versions;

use build::{c_plugin, rust_plugin};
use direct::Direct;
use regflow::plugin::{
    self, Feature, FeatureKind, Flow, LibraryError, Molecule, Origin, Parameters, Plugin,
    PluginError, check_library,
};
use regflow::tensor::{DType, Device, Tensor};
use std::path::Path;
use tempfile::TempDir;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// `r` for real, `c` for circular.
fn features(kinds: &str) -> Vec<Feature> {
    let kind = |letter| {
        if letter == 'c' {
            FeatureKind::Circular
        } else {
            FeatureKind::Real
        }
    };
    (0u32..)
        .zip(kinds.chars())
        .map(|(column, letter)| Feature {
            kind: kind(letter),
            atom: column / 3,
            axis: column % 3,
        })
        .collect()
}

/// Smooth made-up values in (-1.5, 1.5), no two alike.
fn waves(rows: usize, columns: usize, dtype: DType) -> Tensor {
    let values: Vec<f64> = (0..rows * columns)
        .map(|i| 1.5 * (1.7 * i as f64 + 0.3).sin())
        .collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu)
        .and_then(|x| x.to_dtype(dtype))
        .unwrap()
}

/// Gives every parameter, also those that start at 0, a value of order 0.3.
fn stir(parameters: &Parameters) {
    for (name, var) in parameters.iter() {
        let phase = name.len() as f64;
        let values: Vec<f64> = (0..var.elem_count())
            .map(|i| 0.3 * (phase + 2.1 * i as f64).sin())
            .collect();
        let values = Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap();
        parameters.set(name, &values).unwrap();
    }
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .and_then(|x| x.flatten_all()?.to_vec1())
        .unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let pairs = flat(a).into_iter().zip(flat(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

struct Results {
    numbers: Vec<Vec<f64>>,
}

/// Outputs of both directions and the gradients of all parameters.
fn run(
    flow: &Plugin<Flow>,
    config: &str,
    kinds: &str,
) -> Result<Results, Box<dyn std::error::Error>> {
    let features = features(kinds);
    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 11);
    let built = flow.build(config, &features, &Molecule::default(), &mut parameters)?;
    stir(&parameters);
    let x = waves(9, features.len(), DType::F32);
    let (y, log_det) = built.forward(&x)?;
    let (back, log_det_back) = built.inverse(&y.detach())?;
    let loss = (y.sqr()?.sum_all()?.to_dtype(DType::F64)? + log_det.sum_all()?)?;
    let gradients = loss.backward()?;
    let mut numbers = vec![flat(&y), flat(&log_det), flat(&back), flat(&log_det_back)];
    for (name, var) in parameters.iter() {
        numbers.push(flat(
            gradients.get(var).ok_or(format!("no gradient of {name}"))?,
        ));
    }
    Ok(Results { numbers })
}

#[test]
fn separately_compiled_plugins_give_identical_numbers() -> TestResult {
    let folder = TempDir::new()?;
    for (package, name, kinds) in [
        ("regflow-realnvp", "realnvp", "rrrrrrr"),
        ("regflow-nsf", "nsf", "rrcrcrcc"),
    ] {
        let library = rust_plugin(package, &["export"], folder.path());
        let config = r#"{"couplings": 3, "hidden": 20, "masks": "random"}"#;
        let inside = plugin::find::<Flow>(name)?;
        let outside = plugin::find::<Flow>(&library.display().to_string())?;
        assert_eq!(inside.info().origin, Origin::LinkedIn);
        assert_eq!(outside.info().origin, Origin::File(library.clone()));
        assert_eq!(inside.info().schema, outside.info().schema);
        let (inside, outside) = (run(&inside, config, kinds)?, run(&outside, config, kinds)?);
        assert!(inside.numbers.len() > 4);
        assert_eq!(inside.numbers, outside.numbers, "{name}");
        let report = check_library(&library)?;
        assert!(report[0].result.is_ok(), "{report:?}");
    }
    Ok(())
}

#[test]
fn realnvp_agrees_with_a_direct_one_in_outputs_and_gradients() -> TestResult {
    let config = r#"{"couplings": 5, "hidden": 12, "blocks": 2, "scale_limit": 1.5}"#;
    // Rounding: about 40 operations per value of order 1, in f64 and f32.
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
        for n_features in [2, 7] {
            let features = features(&"r".repeat(n_features));
            let mut parameters = Parameters::new(&Device::Cpu, dtype, 4);
            let flow = plugin::find::<Flow>("realnvp")?.build(
                config,
                &features,
                &Molecule::default(),
                &mut parameters,
            )?;
            stir(&parameters);
            let direct = Direct {
                parameters: &parameters,
                couplings: 5,
                blocks: 2,
                limit: 1.5,
            };
            let x = waves(6, n_features, dtype);
            let x = regflow::tensor::Var::from_tensor(&x)?.into_inner();
            let (y, log_det) = flow.forward(&x)?;
            let (y_direct, log_det_direct) = direct.forward(&x)?;
            assert!(largest_difference(&y, &y_direct) < tolerance);
            assert!(largest_difference(&log_det, &log_det_direct) < tolerance);
            let loss = |y: &Tensor, log_det: &Tensor| {
                y.sqr()?.sum_all()?.to_dtype(DType::F64)? + log_det.sqr()?.sum_all()?
            };
            let gradients = loss(&y, &log_det)?.backward()?;
            let gradients_direct = loss(&y_direct, &log_det_direct)?.backward()?;
            let tensors = parameters.iter().map(|(name, var)| (name, var.as_tensor()));
            for (name, tensor) in tensors.chain([("x", &x)]) {
                let (a, b) = (gradients.get(tensor), gradients_direct.get(tensor));
                let (a, b) = (a.ok_or(name)?, b.ok_or(name)?);
                let scale = flat(b)
                    .iter()
                    .fold(1.0, |scale: f64, value| scale.max(value.abs()));
                assert!(
                    largest_difference(a, b) < 10.0 * tolerance * scale,
                    "{name} {dtype:?}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn architectures_pass_their_checks_for_all_kinds_of_features() -> TestResult {
    let (realnvp, nsf) = (
        plugin::find::<Flow>("realnvp")?,
        plugin::find::<Flow>("nsf")?,
    );
    for masks in ["alternating", "random"] {
        for kinds in ["rr", "rrr", "rrrrrrrr"] {
            for permutations in [false, true] {
                let config = format!(
                    r#"{{"couplings": 5, "hidden": 16, "masks": "{masks}", "permutations": {permutations}}}"#
                );
                realnvp.check(&config, &features(kinds), &Molecule::default())?;
            }
        }
        for (name, network) in [
            ("realnvp", "residual"),
            ("realnvp", "plain"),
            ("nsf", "plain"),
        ] {
            let config = format!(
                r#"{{"hidden": 16, "masks": "{masks}", "network": "{network}", "blocks": 3}}"#
            );
            plugin::find::<Flow>(name)?.check(&config, &features("rrrrr"), &Molecule::default())?;
        }
        for kinds in [
            "rr",
            "cc",
            "rc",
            "cr",
            "rrr",
            "ccc",
            "rrc",
            "rcc",
            "rrrcrrcrc",
        ] {
            for (real, shift) in [("light", "conditional"), ("spline", "unconditional")] {
                let config = format!(
                    r#"{{"couplings": 4, "hidden": 16, "masks": "{masks}", "real": "{real}", "circular_shift": "{shift}"}}"#
                );
                nsf.check(&config, &features(kinds), &Molecule::default())
                    .map_err(|error| format!("{kinds} {config}: {error}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn new_flows_are_the_identity() -> TestResult {
    for name in ["realnvp", "nsf"] {
        let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
        let features = features("rrrrr");
        let flow = plugin::find::<Flow>(name)?.build(
            "",
            &features,
            &Molecule::default(),
            &mut parameters,
        )?;
        let x = waves(4, 5, DType::F32);
        let (y, log_det) = flow.forward(&x)?;
        // A spline returns the identity up to rounding of its knots in [-5, 5].
        assert!(largest_difference(&y, &x) < 2e-5, "{name}");
        assert!(
            flat(&log_det).iter().all(|value| value.abs() < 1e-4),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn plugins_in_c_work() -> TestResult {
    let folder = TempDir::new()?;
    let library = c_plugin(
        "../../examples/plugin/c/affine.c",
        &[],
        folder.path(),
        "affine.so",
    );
    let report = check_library(&library)?;
    let [
        plugin::Report {
            info,
            result: Ok(_),
        },
    ] = report.as_slice()
    else {
        panic!("{report:?}");
    };
    assert_eq!(
        (info.name.as_str(), info.version.as_str()),
        ("affine", "1.2.3")
    );
    let flow = plugin::find::<Flow>(&library.display().to_string())?;
    let check = flow.check("", &features("rrr"), &Molecule::default())?;
    assert!(
        check.round_trip < 1e-12 && check.log_det < 1e-8 && check.without_gradient.is_empty(),
        "{check:?}"
    );

    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 2);
    let built = flow.build("", &features("rrr"), &Molecule::default(), &mut parameters)?;
    parameters.set(
        "log_scale",
        &Tensor::new(&[[0.0f32, 1.0, -0.5]], &Device::Cpu)?,
    )?;
    parameters.set("shift", &Tensor::new(&[[1.0f32, 2.0, 3.0]], &Device::Cpu)?)?;
    let x = waves(4, 3, DType::F32);
    let (y, log_det) = built.forward(&x)?;
    for (y, x) in flat(&y).chunks(3).zip(flat(&x).chunks(3)) {
        let expected = [
            x[0] + 1.0,
            x[1] * 1f64.exp() + 2.0,
            x[2] * (-0.5f64).exp() + 3.0,
        ];
        assert!(
            y.iter()
                .zip(expected)
                .all(|(y, expected)| (y - expected).abs() < 1e-6),
            "{y:?}"
        );
    }
    assert!(
        flat(&log_det)
            .iter()
            .all(|value| (value - 0.5).abs() < 1e-7)
    );
    // d sum(y) / d shift is the number of rows.
    let gradients = y.sum_all()?.backward()?;
    let shift = parameters.get("shift").ok_or("no shift")?;
    assert_eq!(flat(gradients.get(shift).ok_or("no gradient")?), [4.0; 3]);
    Ok(())
}

fn library_error(path: &Path) -> LibraryError {
    match plugin::find::<Flow>(&path.display().to_string()) {
        Err(PluginError::Library { reason, .. }) => reason,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[test]
fn libraries_that_cannot_be_used_say_why() -> TestResult {
    let folder = TempDir::new()?;
    let folder = folder.path();
    let fault = |name: &str| {
        c_plugin(
            "faulty.c",
            &[&format!("FAULT_{name}")],
            folder,
            &format!("{name}.so"),
        )
    };
    let (text, broken) = (folder.join("text.so"), folder.join("broken.so"));
    std::fs::write(&text, "not a library")?;
    std::fs::write(
        &broken,
        "not a library, though it names regflow_plugin_entry",
    )?;
    let table_size = size_of::<regflow_plugin::abi::PluginTable>() + 8;
    let table_size = format!("its plugin table is invalid: struct_size is {table_size}");
    let cases = [
        (folder.join("missing.so"), "no such file"),
        (text, "not a RegFlow plugin"),
        (broken, "not a shared library that can be loaded: "),
        (
            c_plugin("no_entry.c", &[], folder, "no_entry.so"),
            "not a RegFlow plugin",
        ),
        (fault("MAGIC"), "its plugin table is invalid: magic is 0x2a"),
        (
            fault("VERSION"),
            "built for version 9.0 of the plugin interface, this host has version 1.0",
        ),
        (fault("TABLE_SIZE"), &table_size),
        (fault("KIND"), "it has no flow `(any)`; it offers: nothing"),
        (
            fault("NULL_TABLE"),
            "its flow table is invalid: address is null",
        ),
        (
            fault("SIZE"),
            "its flow table is invalid: struct_size is 88, expected at least 96",
        ),
        (
            fault("ODD_SIZE"),
            "its flow table is invalid: struct_size is 100",
        ),
        (
            fault("NAME"),
            "its flow table is invalid: name is `../fine`, expected lower case letters",
        ),
        (
            fault("SCHEMA"),
            "its flow table is invalid: config_schema is ",
        ),
        (
            fault("FUNCTION=head.create"),
            "its flow table is invalid: create is null",
        ),
        (
            fault("FUNCTION=head.destroy"),
            "its flow table is invalid: destroy is null",
        ),
        (
            fault("FUNCTION=forward"),
            "its flow table is invalid: forward is null",
        ),
        (
            fault("FUNCTION=inverse"),
            "its flow table is invalid: inverse is null",
        ),
        (
            fault("NULL"),
            "its entry point failed: it returned no table",
        ),
        (
            rust_plugin("regflow-test-foreign", &[], folder),
            "built for version 2.3 of the plugin interface, this host has version 1.0",
        ),
        (
            rust_plugin("regflow-test-foreign", &["layout"], folder),
            "its types are laid out differently than version 1.0 of the plugin interface says",
        ),
    ];
    for (path, expected) in cases {
        let message = library_error(&path).to_string();
        assert!(message.contains(expected), "{}: {message}", path.display());
        assert!(message.lines().count() == 1, "{message}");
    }
    Ok(())
}

#[test]
fn flows_that_break_the_rules_are_found_out() -> TestResult {
    let folder = TempDir::new()?;
    let cases = [
        (
            "SHAPE",
            "plugin `affine`, forward: its output has shape [3, 1], expected [3, 7]",
        ),
        (
            "DTYPE",
            "plugin `affine`, forward: its log-determinant has dtype U32",
        ),
        (
            "NOT_FINITE",
            "plugin `affine`, forward: its output is not finite in 21 places",
        ),
        ("LOG_DET", "the log-determinant of forward is "),
        ("INVERSE", "inverse(forward(x)) differs from x by "),
        (
            "SILENT",
            "plugin `affine`, forward: status 7 without a message",
        ),
        ("OPERATION", "unknown operation code 4000000"),
    ];
    for (fault, expected) in cases {
        let name = format!("{fault}.so");
        let library = c_plugin(
            "faulty.c",
            &[&format!("FAULT_{fault}")],
            folder.path(),
            &name,
        );
        let report = check_library(&library)?;
        let [
            plugin::Report {
                result: Err(error), ..
            },
        ] = report.as_slice()
        else {
            panic!("{fault}: {report:?}");
        };
        assert!(error.to_string().contains(expected), "{fault}: {error}");
    }
    Ok(())
}

#[test]
fn panics_come_back_as_errors() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-panicking", &[], folder.path());
    let path = library.display().to_string();
    let flow = plugin::find::<Flow>(&path)?;
    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
    let mut build = |config: &str| {
        flow.build(
            config,
            &features("rrc"),
            &Molecule::default(),
            &mut parameters,
        )
    };
    let error = build(r#"{"place": "create"}"#).unwrap_err().to_string();
    assert_eq!(
        error,
        "plugin `panicking` panicked in create: no way to build 3 features"
    );
    let built = build("{}")?;
    let x = waves(2, 3, DType::F32);
    let error = built.forward(&x).unwrap_err().to_string();
    assert_eq!(
        error,
        "plugin `panicking` panicked in forward: lost at [2, 3]"
    );
    let error = built.inverse(&x).unwrap_err().to_string();
    assert_eq!(error, "plugin `panicking`, inverse: no inverse today");

    Ok(())
}

#[test]
fn configurations_and_features_are_checked() -> TestResult {
    let realnvp = plugin::find::<Flow>("realnvp")?;
    let build = |config: &str, kinds: &str| {
        let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
        let built = realnvp.build(
            config,
            &features(kinds),
            &Molecule::default(),
            &mut parameters,
        );
        built.map(|_| ()).unwrap_err().to_string()
    };
    let unknown = build(r#"{"hiden": 3}"#, "rrr");
    assert!(
        unknown.contains("unknown field `hiden`") && unknown.contains("hidden"),
        "{unknown}"
    );
    assert!(build("[1]", "rrr").contains("not a JSON object"));
    assert!(build(r#"{"couplings": -1}"#, "rrr").contains("invalid value: integer `-1`"));
    assert!(
        build(r#"{"scale_limit": 0}"#, "rrr").contains("`scale_limit` must be positive, found 0")
    );
    assert!(build(r#"{"couplings": 0}"#, "rrr").contains("`couplings` must be 1 to 4096"));
    assert!(build("", "r").contains("a coupling flow needs at least 2 features, found 1"));
    assert!(
        build("", "rcr")
            .contains("`realnvp` does not understand circular features: feature 1 is one")
    );

    let complete = realnvp.info().complete_config(r#"{"hidden": 3}"#)?;
    let complete: serde_json::Value = serde_json::from_str(&complete)?;
    assert_eq!(complete["hidden"], 3);
    assert_eq!(complete["couplings"], 8);
    assert_eq!(complete["masks"], "alternating");

    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
    let flow = realnvp.build("", &features("rrr"), &Molecule::default(), &mut parameters)?;
    let wrong = flow
        .forward(&waves(2, 4, DType::F32))
        .unwrap_err()
        .to_string();
    assert_eq!(
        wrong,
        "plugin `realnvp`, forward: x has shape [2, 4], expected [2, 3]"
    );
    let wrong = flow
        .forward(&waves(2, 3, DType::F64))
        .unwrap_err()
        .to_string();
    assert_eq!(
        wrong,
        "plugin `realnvp`, forward: x has dtype F64, expected F32"
    );
    Ok(())
}

#[test]
fn c_header_has_the_numbers_of_the_rust_interface() -> TestResult {
    use regflow_plugin::abi::{ABI_MAJOR, ABI_MINOR, MAGIC, op};
    let header = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/regflow_plugin.h"),
    )?;
    let value = |name: &str| {
        let line = header
            .lines()
            .find(|line| line.starts_with(&format!("#define {name} ")));
        line.and_then(|line| line.split_whitespace().nth(2))
            .ok_or(format!("no {name}"))
    };
    for &code in op::ALL {
        let name = format!("REGFLOW_OP_{}", op::name(code).ok_or("unnamed")?);
        assert_eq!(value(&name)?, format!("{code}u"));
    }
    for kind in regflow_plugin::KINDS {
        let name = format!("REGFLOW_KIND_{}", kind.name.to_uppercase());
        assert_eq!(value(&name)?, format!("{}u", kind.code));
    }
    assert_eq!(value("REGFLOW_PLUGIN_ABI_MAJOR")?, format!("{ABI_MAJOR}u"));
    assert_eq!(value("REGFLOW_PLUGIN_ABI_MINOR")?, format!("{ABI_MINOR}u"));
    assert_eq!(value("REGFLOW_PLUGIN_MAGIC")?, format!("{MAGIC:#x}ull"));
    Ok(())
}
