//! Programs in C and C++ against an installation by `make install`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, PoisonError};

use regflow::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use regflow::model::Model;
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;

use crate::{dipeptide, root, run};

/// A folder of this test program's own in `target/tmp`, which is kept.
pub fn scratch(name: &str) -> PathBuf {
    // This program lies in TARGET/PROFILE/deps, under a name that ends with a hash.
    let program = std::env::current_exe().expect("a running program has a path");
    let stem = program.file_stem().expect("a program has a name");
    let stem = stem.to_string_lossy().into_owned();
    let test = stem
        .rsplit_once('-')
        .map_or(stem.as_str(), |(test, _)| test);
    let target = program
        .ancestors()
        .nth(3)
        .expect("programs are built in TARGET/PROFILE/deps");
    let folder = target.join("tmp").join(test).join(name);
    std::fs::create_dir_all(&folder).expect("a folder can be made in target/tmp");
    folder
}

/// Runs `make install` into an empty folder, which is the whole installation with `destination` before it. `settings` are further
/// variables of the Makefile.
pub fn install(prefix: &Path, destination: Option<&Path>, settings: &[&str]) {
    let folder = destination.map_or(prefix.to_owned(), |d| {
        d.join(prefix.strip_prefix("/").unwrap_or(prefix))
    });
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the last run's installation can be removed");
    }
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "install"])
        .arg(format!("PREFIX={}", prefix.display()))
        .args(settings)
        .current_dir(root());
    if let Some(destination) = destination {
        make.arg(format!("DESTDIR={}", destination.display()));
    }
    run(&mut make);
}

/// One installation for all tests of a program.
pub fn installed() -> &'static Path {
    static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = scratch("installed");
        install(&folder, None, &[]);
        folder
    });
    &INSTALLED
}

/// Compiles one file, C as strict C99 or C++ as strict C++17, and links it to the installed shared library. `flags` are those
/// of a sanitizer, say. What is compiled already is not compiled again, for it may be running.
pub fn compile(source: &str, flags: &[&str]) -> PathBuf {
    static PROGRAMS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let name = format!("{source}{}", flags.concat()).replace(['/', '.', ',', '='], "-");
    let program = scratch("programs").join(name);
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if programs.contains(&program) {
        return program;
    }
    let [compiler, standard] = if source.ends_with(".cpp") {
        ["g++", "-std=c++17"]
    } else {
        ["gcc", "-std=c99"]
    };
    let lib = installed().join("lib");
    run(Command::new(compiler)
        .args([
            standard,
            "-g",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wshadow",
            "-Werror",
        ])
        .args(flags)
        .arg(root().join(source))
        .arg("-I")
        .arg(installed().join("include"))
        .arg("-L")
        .arg(&lib)
        .arg(format!("-Wl,-rpath,{}", lib.display()))
        .args(["-lregflow", "-lm", "-lpthread", "-o"])
        .arg(&program));
    programs.insert(program.clone());
    program
}

/// The C or C++ sources of a folder of the repository, as paths from its top.
pub fn sources(folder: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there");
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension() == Some(OsStr::new(extension)))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    found.sort();
    found
}

/// A model of the water molecule, made by the example in C that trains one.
pub fn water() -> &'static Path {
    static MODEL: LazyLock<PathBuf> = LazyLock::new(|| {
        let model = scratch("models").join("water.safetensors");
        run(Command::new(compile("examples/c/train.c", &[])).arg(&model));
        model
    });
    &MODEL
}

/// The structure of the water molecule.
pub fn water_topology() -> PathBuf {
    root().join("examples/data/water/topology.pdb")
}

/// An untrained model of alanine dipeptide, whose parameters are random.
pub fn untrained() -> &'static Path {
    static MODEL: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = scratch("models").join("dipeptide.safetensors");
        let model = small_model(CoordinateKind::Internal, "realnvp");
        model.save(&path).expect("a model can be saved");
        path
    });
    &MODEL
}

/// Untrained models of alanine dipeptide in each kind of coordinates, one of them with circular features.
pub fn kinds() -> &'static [PathBuf] {
    static MODELS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
        [
            (CoordinateKind::Internal, "nsf"),
            (CoordinateKind::Gauge, "realnvp"),
            (CoordinateKind::Cartesian, "realnvp"),
        ]
        .map(|(kind, architecture)| {
            let path = scratch("models").join(format!("{kind}.safetensors"));
            let model = small_model(kind, architecture);
            model.save(&path).expect("a model can be saved");
            path
        })
        .to_vec()
    });
    &MODELS
}

fn small_model(kind: CoordinateKind, architecture: &str) -> Model {
    let topology =
        Topology::read(&dipeptide("topology.pdb")).expect("the shipped structure can be read");
    let options = ReadOptions {
        stride: 50,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(&[dipeptide("trajectory.dcd")], &topology, &options)
        .and_then(|mut trajectory| trajectory.read_all())
        .expect("the shipped frames can be read");
    let options = CoordinateOptions {
        circular: architecture == "nsf",
        ..CoordinateOptions::default()
    };
    let coordinates = Coordinates::fit(kind, &topology, &frames.positions, &options)
        .expect("the shipped frames fit");
    let config = serde_json::json!({"couplings": 4, "hidden": 16, "blocks": 1});
    Model::new(
        architecture,
        config,
        coordinates,
        topology,
        300.0,
        1,
        &Device::Cpu,
    )
    .expect("a model can be made")
}

/// A file that was a model before its second half got lost.
pub fn corrupt() -> PathBuf {
    let path = scratch("models").join("corrupt.safetensors");
    let mut bytes = std::fs::read(untrained()).expect("the model can be read");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).expect("a file can be written");
    path
}

/// The hostile programs with their arguments.
pub fn hostile(source: &str) -> Vec<PathBuf> {
    let models = scratch("models");
    match source {
        "tests/c/models.c" => vec![
            untrained().to_owned(),
            models.join("missing.safetensors"),
            corrupt(),
            models.join("saved.safetensors"),
        ],
        "tests/c/energies.c" => vec![untrained().to_owned(), dipeptide("system.xml")],
        "tests/c/moves.c" | "tests/c/threads.c" | "tests/c/fork.c" => vec![water().to_owned()],
        "tests/c/maps.c" => {
            let mut models = vec![water().to_owned()];
            models.extend(kinds().iter().cloned());
            models
        }
        "tests/c/training.c" | "tests/cpp/wrapper.cpp" => {
            vec![water().to_owned(), water_topology()]
        }
        other => panic!("{other}: say here what its arguments are"),
    }
}

/// What a program printed.
pub fn stdout(output: Output) -> String {
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}
