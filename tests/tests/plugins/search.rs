//! Where plugins are looked for, and what of a file is run.

use super::TestResult;
use super::build::{c_plugin, rust_plugin};
use regflow::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use regflow::model::Model;
use regflow::plugin::{self, Flow, PluginError};
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Runs one of the helpers below in a program of its own: variables, and what is loaded, belong to the whole process.
fn helper(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        &format!("search::{name}"),
        "--ignored",
        "--nocapture",
    ]);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn names_are_searched_for_in_the_plugin_path() -> TestResult {
    let folder = TempDir::new()?;
    c_plugin(
        "../../examples/plugin/c/affine.c",
        &[],
        folder.path(),
        "libaffine.so",
    );
    c_plugin("faulty.c", &["FAULT_VERSION"], folder.path(), "broken.so");
    c_plugin(
        "../../examples/plugin/c/affine.c",
        &[],
        folder.path(),
        "other.so",
    );
    let ask = |name: &str| {
        let output = helper(
            "search_for_a_name",
            &[
                ("REGFLOW_PLUGIN_PATH", folder.path().to_str().unwrap()),
                ("REGFLOW_PLUGIN_DEBUG", "1"),
                ("REGFLOW_TEST_NAME", name),
            ],
        );
        (words(&output.stdout), words(&output.stderr))
    };
    let (found, log) = ask("affine");
    assert!(
        found.contains("found in") && found.contains("libaffine.so"),
        "{found}"
    );
    assert!(log.contains("regflow plugins: flow `affine`: "), "{log}");
    let (broken, _) = ask("broken");
    for part in [
        "libbroken.so: no such file",
        "broken.so: built for version 9.0",
        "realnvp, nsf",
    ] {
        assert!(broken.contains(part), "{broken}");
    }
    let (other, _) = ask("other");
    assert!(
        other.contains("it has no flow `other`; it offers: flow `affine`"),
        "{other}"
    );
    let (linked_in, _) = ask("nsf");
    assert!(linked_in.contains("found in linked in"), "{linked_in}");
    Ok(())
}

/// A library that leaves a trace when it is loaded, compiled from `tests/plugins/SOURCE`.
fn tracer(source: &str, folder: &Path, name: &str, trace: &Path) {
    let define = format!("TRACE=\"{}\"", trace.display());
    c_plugin(source, &[&define], folder, name);
}

#[test]
fn libraries_that_are_no_plugins_neither_run_nor_hide_others() -> TestResult {
    let folder = TempDir::new()?;
    let trace = folder.path().join("trace");
    // As the library of an engine beside ours.
    for name in ["liblammps.so", "libnsf.so", "nsf.so"] {
        tracer("tracer.c", folder.path(), name, &trace);
    }
    let variables = |name| {
        [
            ("REGFLOW_PLUGIN_PATH", folder.path().to_str().unwrap()),
            ("REGFLOW_TEST_NAME", name),
        ]
    };
    let output = helper("search_for_a_name", &variables("nsf"));
    assert!(
        words(&output.stdout).contains("found in linked in"),
        "{output:?}"
    );
    let output = helper("search_for_an_energy", &variables("lammps"));
    assert!(
        words(&output.stdout).contains("found in linked in"),
        "{output:?}"
    );
    assert!(!trace.exists(), "a library that is no plugin was loaded");
    let refused = plugin::load(&folder.path().join("nsf.so")).unwrap_err();
    assert!(
        refused.to_string().contains("not a RegFlow plugin"),
        "{refused}"
    );
    assert!(!trace.exists());
    // A plugin of that name is taken, and leaves its trace.
    tracer("traced_plugin.c", folder.path(), "libtraced.so", &trace);
    let output = helper("search_for_a_name", &variables("traced"));
    assert!(words(&output.stdout).contains("libtraced.so"), "{output:?}");
    assert!(trace.exists());
    Ok(())
}

/// Run by the tests above.
#[test]
#[ignore = "a helper"]
fn search_for_a_name() {
    let name = std::env::var("REGFLOW_TEST_NAME").unwrap_or_default();
    match plugin::find::<Flow>(&name) {
        Ok(flow) => println!("found in {}", flow.info().origin),
        Err(error) => println!("{error}"),
    }
}

/// Run by the tests above.
#[test]
#[ignore = "a helper"]
fn search_for_an_energy() {
    let name = std::env::var("REGFLOW_TEST_NAME").unwrap_or_default();
    match plugin::find::<plugin::PluginEnergy>(&name) {
        Ok(energy) => println!("found in {}", energy.info().origin),
        Err(error) => println!("{error}"),
    }
}

fn small_model(architecture: &str) -> Model {
    let topology = Topology::read(&regflow_tests::dipeptide("topology.pdb")).unwrap();
    let options = ReadOptions {
        stride: 100,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(
        &[regflow_tests::dipeptide("trajectory.dcd")],
        &topology,
        &options,
    )
    .and_then(|mut trajectory| trajectory.read_all())
    .unwrap();
    let options = CoordinateOptions {
        circular: false,
        ..CoordinateOptions::default()
    };
    let kind = CoordinateKind::Internal;
    let coordinates = Coordinates::fit(kind, &topology, &frames.positions, &options).unwrap();
    let config = serde_json::json!({});
    let device = Device::Cpu;
    Model::new(
        architecture,
        config,
        coordinates,
        topology,
        300.0,
        1,
        &device,
    )
    .unwrap()
}

#[test]
fn models_name_plugins_and_never_paths() -> TestResult {
    let folder = TempDir::new()?;
    let trace = folder.path().join("trace");
    tracer("traced_plugin.c", folder.path(), "libtraced.so", &trace);
    let library = folder.path().join("libtraced.so");
    let path = library.to_str().unwrap();

    // What was asked for by a path is stored under its own name, and usable in this process.
    let model = small_model(path);
    assert_eq!(model.header().architecture.name, "traced");
    model.check()?;
    let file = folder.path().join("model.safetensors");
    model.save(&file)?;
    let again = Model::load(&file, &Device::Cpu)?;
    let samples = |model: &Model| model.sample(3, 7, 0).unwrap().log_q;
    assert_eq!(samples(&model), samples(&again));

    // Elsewhere by its folder, or once the caller has loaded it; not otherwise.
    std::fs::remove_file(&trace)?;
    let load = |variables: &[(&str, &str)]| {
        let mut variables = variables.to_vec();
        variables.push(("REGFLOW_TEST_MODEL", file.to_str().unwrap()));
        words(&helper("load_a_model", &variables).stdout)
    };
    let alone = load(&[]);
    assert!(alone.contains("no flow `traced`"), "{alone}");
    assert!(alone.contains("REGFLOW_PLUGIN_PATH"), "{alone}");
    assert!(!trace.exists());
    let by_folder = load(&[("REGFLOW_PLUGIN_PATH", folder.path().to_str().unwrap())]);
    assert!(by_folder.contains("loaded traced"), "{by_folder}");
    let by_caller = load(&[("REGFLOW_TEST_LIBRARY", path)]);
    assert!(by_caller.contains("loaded traced"), "{by_caller}");

    // A file that says a path, or anything else that is no name, is refused, and nothing is run.
    std::fs::remove_file(&trace)?;
    let bytes = std::fs::read(&file)?;
    let bare = |name: &str| name.replace('"', "");
    for name in [
        path,
        "./libtraced.so",
        "libtraced.so",
        "traced.so:traced",
        "../traced",
        "",
    ] {
        std::fs::write(&file, renamed(&bytes, &bare(name)))?;
        let found = load(&[("REGFLOW_PLUGIN_PATH", folder.path().to_str().unwrap())]);
        assert!(found.contains("a path is not followed"), "{name}: {found}");
        assert!(!trace.exists(), "{name}");
    }
    Ok(())
}

/// A model file with another name of the architecture in its header: `u64` length, JSON, tensors.
fn renamed(bytes: &[u8], name: &str) -> Vec<u8> {
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let (header, tensors) = rest.split_at(length);
    let header = String::from_utf8(header.to_vec()).unwrap();
    // The model's own header is a text within the JSON, with its quotes escaped.
    let (old, new) = (r#"\"name\":\"traced\""#, format!(r#"\"name\":\"{name}\""#));
    assert_eq!(header.matches(old).count(), 1);
    let mut header = header.replace(old, &new);
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), tensors].concat()
}

/// Run by the test above.
#[test]
#[ignore = "a helper"]
fn load_a_model() {
    if let Ok(library) = std::env::var("REGFLOW_TEST_LIBRARY") {
        plugin::load(Path::new(&library)).unwrap();
    }
    let model = std::env::var("REGFLOW_TEST_MODEL").unwrap();
    match Model::load(Path::new(&model), &Device::Cpu) {
        Ok(model) => println!("loaded {}", model.header().architecture.name),
        Err(error) => {
            let mut error: &dyn std::error::Error = &error;
            println!("{error}");
            while let Some(source) = error.source() {
                println!("{source}");
                error = source;
            }
        }
    }
}

#[test]
fn one_file_may_offer_a_name_only_once() -> TestResult {
    let folder = TempDir::new()?;
    let library = rust_plugin("regflow-test-stranger", &[], folder.path());
    plugin::load(&library)?;
    let found = plugin::find::<plugin::Field>("waves")?;
    let path = library.canonicalize()?;
    assert_eq!(found.info().origin, plugin::Origin::File(path.clone()));
    let listed = plugin::all();
    let place = listed.iter().position(|info| info.name == "half").unwrap();
    assert_eq!(
        (listed[place].kind, &*listed[place + 1].name),
        ("target", "ot")
    );
    let copy = folder.path().join("copy.so");
    std::fs::copy(&library, &copy)?;
    match plugin::load(&copy) {
        Err(PluginError::Taken { kind, name, by, .. }) => {
            assert_eq!((kind, &*name), ("field", "waves"));
            assert_eq!(by, plugin::Origin::File(path));
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}
