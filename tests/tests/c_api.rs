//! The C interface as a C program sees it: installed by `make install`, compiled against with gcc, linked, run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use regflow::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use regflow::flow::Model;
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;
use regflow_tests::{dipeptide, root, run};

struct Installed {
    folder: PathBuf,
}

impl Installed {
    fn lib(&self) -> PathBuf {
        self.folder.join("lib")
    }

    fn include(&self) -> PathBuf {
        self.folder.join("include")
    }

    /// Compiles one file as strict C99 and links it to the installed shared library.
    fn compile(&self, source: &str) -> PathBuf {
        let source = root().join(source);
        let program = self
            .folder
            .join(source.file_stem().expect("a source file has a name"));
        run(Command::new("gcc")
            .args([
                "-std=c99",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
            ])
            .arg(source)
            .arg("-I")
            .arg(self.include())
            .arg("-L")
            .arg(self.lib())
            .arg(format!("-Wl,-rpath,{}", self.lib().display()))
            .args(["-lregflow", "-o"])
            .arg(&program));
        program
    }
}

/// One installation for all tests of this file, in `target/tmp`.
static INSTALLED: LazyLock<Installed> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the last run's installation can be removed");
    }
    run(Command::new("make")
        .args(["--no-print-directory", "install"])
        .arg(format!("PREFIX={}", folder.display()))
        .current_dir(root()));
    Installed { folder }
});

/// An untrained model of alanine dipeptide, whose parameters are random.
fn model(folder: &Path) -> PathBuf {
    let topology =
        Topology::read(&dipeptide("topology.pdb")).expect("the shipped structure can be read");
    let options = ReadOptions {
        stride: 50,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(&[dipeptide("trajectory.dcd")], &topology, &options)
        .and_then(|mut trajectory| trajectory.read_all())
        .expect("the shipped frames can be read");
    let options = CoordinateOptions::default();
    let coordinates = Coordinates::fit(
        CoordinateKind::Internal,
        &topology,
        &frames.positions,
        &options,
    )
    .expect("the shipped frames fit");
    let config = serde_json::json!({"couplings": 4, "hidden": 16, "blocks": 1});
    let path = folder.join("model.safetensors");
    let model = Model::new(
        "realnvp",
        config,
        coordinates,
        topology,
        300.0,
        1,
        &Device::Cpu,
    )
    .expect("a model can be made");
    model.save(&path).expect("a model can be saved");
    path
}

fn stdout(output: Output) -> String {
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

#[test]
fn the_example_samples_and_scores() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = model(folder.path());
    let program = INSTALLED.compile("examples/c/sample.c");
    let printed = stdout(run(Command::new(program).arg(&model).arg("5")));
    let rows: Vec<Vec<f64>> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split(' ')
                .map(|word| word.parse().expect("a number"))
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 5, "{printed}");
    for (i, row) in rows.iter().enumerate() {
        let [index, drawn, scored] = row[..] else {
            panic!("{printed}")
        };
        assert_eq!(index, i as f64);
        if drawn == f64::INFINITY {
            continue; // no molecule: nothing to score
        }
        // The inverse map repeats some thousand f32 operations: 1e-7 each, in a sum of about 1e2.
        assert!(
            (drawn - scored).abs() < 1e-2 + 1e-4 * drawn.abs(),
            "{printed}"
        );
    }
}

#[test]
fn errors_come_back_as_status_and_message() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = model(folder.path());
    let corrupt = folder.path().join("corrupt.safetensors");
    let mut bytes = std::fs::read(&model).expect("the model can be read");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&corrupt, bytes).expect("a file can be written");
    let program = INSTALLED.compile("tests/c/errors.c");
    let printed = stdout(run(Command::new(program)
        .arg(&model)
        .arg(folder.path().join("missing.safetensors"))
        .arg(&corrupt)));
    assert!(printed.ends_with(" 0 failures\n"), "{printed}");
}

/// Programs ask for the library by the name that changes with the binary interface, and find no symbols but ours.
#[test]
fn the_library_has_a_versioned_name_and_exports_the_header_only() {
    let library = INSTALLED.lib().join("libregflow.so");
    let dynamic = stdout(run(Command::new("readelf").arg("-d").arg(&library)));
    assert!(dynamic.contains("soname: [libregflow.so.0]"), "{dynamic}");

    let header = std::fs::read_to_string(INSTALLED.include().join("regflow.h"))
        .expect("the header is installed");
    let exported = stdout(run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library)));
    let exported: Vec<&str> = exported
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    assert!(exported.contains(&"regflow_model_load"), "{exported:?}");
    // The bzip2 crate exports its error handler from every library that it is linked into.
    for name in exported
        .into_iter()
        .filter(|name| *name != "bz_internal_error")
    {
        assert!(
            header.contains(&format!("{name}(")),
            "{name} is exported but not declared"
        );
    }
}
