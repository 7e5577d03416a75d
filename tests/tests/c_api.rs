//! The C interface as programs see it: installed by `make install`, compiled against with gcc and g++, linked, run.

use std::path::{Path, PathBuf};
use std::process::Command;

use regflow_tests::native::{
    compile, hostile, installed, kinds, scratch, sources, stdout, untrained, water, water_topology,
};
use regflow_tests::{dipeptide, root, run};

/// The number after `label` at the start of a line.
fn number(printed: &str, label: &str) -> f64 {
    let line = printed.lines().find_map(|line| line.strip_prefix(label));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no number after {label:?} in\n{printed}"))
}

fn example(source: &str, arguments: &[&Path]) -> String {
    stdout(run(Command::new(compile(source, &[])).args(arguments)))
}

#[test]
fn samples_are_scored_with_the_density_that_they_were_drawn_from() {
    let printed = example("examples/c/sample.c", &[untrained(), Path::new("5")]);
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
fn a_model_describes_itself() {
    let plugin = scratch("plugins").join("libaffine.so");
    run(Command::new("gcc")
        .args(["-std=c99", "-shared", "-fPIC", "-I"])
        .arg(installed().join("include"))
        .arg(root().join("examples/plugin/c/affine.c"))
        .arg("-o")
        .arg(&plugin));
    let printed = example("examples/c/inspect.c", &[water(), &plugin]);
    assert!(printed.contains("libaffine.so"), "{printed}");
    assert!(printed.contains("\"name\":\"nsf\""), "{printed}");
    // Hydrogens first: the order is reversed.
    assert!(
        printed.ends_with("temperature 300\nnumbers 1 1 8\n"),
        "{printed}"
    );
}

/// log q is the density of the prior, the flow's determinant and the volume, up to single precision.
#[test]
fn a_model_is_taken_apart() {
    for model in kinds() {
        let printed = example("examples/c/features.c", &[model]);
        let parts = printed
            .lines()
            .find_map(|line| line.strip_prefix("prior ")?.rsplit_once(" = "))
            .and_then(|(_, sum)| sum.parse::<f64>().ok())
            .expect("a sum");
        let scored = number(&printed, "scored log q");
        assert!(
            (parts - scored).abs() < 1e-2 + 1e-4 * scored.abs(),
            "{printed}"
        );
        for (label, limit) in [
            ("forward and inverse log det", 1e-2),
            ("volume both ways", 1e-9),
            ("features there and back", 1e-2),
            ("positions there and back", 1e-9),
        ] {
            assert!(number(&printed, label) < limit, "{printed}");
        }
        assert!(
            number(&printed, "slope of the features' log density") > 0.0,
            "{printed}"
        );
    }
}

#[test]
fn weights_of_samples() {
    let arguments = [untrained(), &dipeptide("system.xml"), Path::new("500")];
    let c = example("examples/c/weights.c", &arguments);
    let cpp = example("examples/cpp/weights.cpp", &arguments);
    assert_eq!(number(&c, "samples"), 500.0);
    for label in ["ESS/N", "log Z", "mean energy"] {
        assert_eq!(number(&c, label), number(&cpp, label), "{c}{cpp}");
    }
}

/// Trained, weighed and simulated in C, the water molecule has the log Z and the mean energy that quadrature gives.
#[test]
fn training_weights_and_moves_are_exact() {
    let folder = scratch("trained");
    let model = folder.join("water.safetensors");
    let trained = example("examples/c/train.c", &[&model]);
    assert!(trained.contains("progress {"), "{trained}");
    assert!(number(&trained, "ESS/N") > 0.5, "{trained}");
    let [found, exact] = [number(&trained, "log Z"), number(&trained, "exact")];
    let error: f64 = trained
        .split("+- ")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.parse().ok())
        .expect("an error");
    // Four standard errors, and the last digit printed.
    assert!((found - exact).abs() < 4.0 * error + 1e-4, "{trained}");

    let moved = example("examples/c/metropolis.c", &[&model, Path::new("4000")]);
    let [found, exact] = [number(&moved, "mean energy"), number(&moved, "exact")];
    let error: f64 = moved
        .split("+- ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .expect("an error");
    assert!((found - exact).abs() < 4.0 * error, "{moved}");
    assert_eq!(
        number(&moved, "attempts"),
        8000.0,
        "the state went through the restart\n{moved}"
    );
    assert!(number(&moved, "mean acceptance") > 0.5, "{moved}");

    // Annealed, log Z is as exact, and the weights are better.
    let annealed = example("examples/c/anneal.c", &[&model, Path::new("2000")]);
    assert_eq!(number(&annealed, "threads"), 1.0);
    let exact_log_z = number(&annealed, "exact log Z");
    for label in ["direct", "annealed"] {
        let line = annealed
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{label} log Z ")))
            .expect("a log Z");
        let (found, error) = line.split_once(" +- ").expect("an error");
        let [found, error]: [f64; 2] = [found, error].map(|word| word.parse().expect("a number"));
        assert!(
            (found - exact_log_z).abs() < 4.0 * error + 1e-4,
            "{annealed}"
        );
    }
    let ess = |label: &str| number(&annealed, &format!("{label} ESS/N"));
    assert!(ess("annealed") > ess("direct"), "{annealed}");
    assert!(number(&annealed, "acceptance") > 0.3, "{annealed}");

    // The ion takes 0.2 kcal/mol / 3 off; the walkers' energies scatter by sqrt(1.5) kT = 0.73 kcal/mol.
    let walkers = example("examples/c/walkers.c", &[&model, Path::new("50")]);
    let deviation = number(&walkers, "mean energy") - (exact - 0.2 / 3.0);
    assert!(deviation.abs() < 4.0 * 0.73 / 10.0, "{walkers}");

    let cpp = example("examples/cpp/metropolis.cpp", &[&model, Path::new("50")]);
    assert_eq!(number(&cpp, "attempts"), 400.0);
    assert!(number(&cpp, "mean acceptance") > 0.5, "{cpp}");
    let again = example(
        "examples/cpp/train.cpp",
        &[&water_topology(), &model, &folder.join("again.safetensors")],
    );
    assert_eq!(number(&again, "steps"), 200.0);
}

/// Each hostile program counts what does not come back as it should.
#[test]
fn hostile_programs() {
    for source in sources("tests/c", "c")
        .into_iter()
        .chain(sources("tests/cpp", "cpp"))
    {
        let printed = stdout(run(
            Command::new(compile(&source, &[])).args(hostile(&source))
        ));
        assert!(printed.ends_with(" 0 failures\n"), "{source}: {printed}");
    }
}

/// Examples and hostile programs leave no function out. The examples are compiled as strict C99 and C++17 by the tests above.
#[test]
fn every_function_is_in_an_example_and_a_test() {
    let header =
        std::fs::read_to_string(root().join("include/regflow.h")).expect("the header can be read");
    let text = |folders: &[[&str; 2]]| -> String {
        let files = folders
            .iter()
            .flat_map(|[folder, extension]| sources(folder, extension));
        files
            .map(|file| std::fs::read_to_string(root().join(file)).expect("sources can be read"))
            .collect()
    };
    let examples = text(&[["examples/c", "c"]]);
    let tests = text(&[["tests/c", "c"], ["tests/cpp", "cpp"]]);
    let wrapper = std::fs::read_to_string(root().join("include/regflow.hpp"))
        .expect("the wrapper can be read");
    let functions = declared(&header);
    assert!(functions.len() > 30, "{functions:?}");
    for function in functions {
        for (what, text) in [("example", &examples), ("test", &tests)] {
            assert!(
                text.contains(&format!("{function}(")),
                "no {what} calls {function}"
            );
        }
        // As a call, a function argument or the end of a handle.
        let mut words =
            wrapper.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        assert!(
            words.any(|word| word == function),
            "regflow.hpp does not use {function}"
        );
    }
}

/// Names of the functions that a header declares.
fn declared(header: &str) -> Vec<String> {
    let statements = header
        .split("*/")
        .filter_map(|part| part.split("/*").next());
    let names = statements
        .flat_map(|code| code.split(';'))
        .filter_map(|statement| {
            let before = statement.split_once('(')?.0;
            let name = before.rsplit([' ', '*', '\n']).next()?;
            name.starts_with("regflow_").then(|| name.to_owned())
        });
    names.collect()
}

/// Programs ask for the library by the name that changes with the binary interface, and find in it what the header declares
/// and nothing else.
#[test]
fn the_library_has_a_versioned_name_and_exports_the_header() {
    let library: PathBuf = installed().join("lib/libregflow.so");
    let dynamic = stdout(run(Command::new("readelf").arg("-d").arg(&library)));
    assert!(dynamic.contains("soname: [libregflow.so.0]"), "{dynamic}");

    let header = std::fs::read_to_string(installed().join("include/regflow.h"))
        .expect("the header is installed");
    let mut declared = declared(&header);
    declared.sort();
    let exported = stdout(run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library)));
    let mut exported: Vec<&str> = exported
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    exported.sort();
    assert_eq!(exported, declared);
}

/// Messages of the library reach callers in C and Python, who have no options of the program to set.
#[test]
fn no_message_names_an_option_of_the_program() {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !["bin", "tests"].contains(&name.as_ref()) {
                sources(&path, found);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for folder in ["core/src", "ffi/src", "plugins"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 100);
    let is_option = |word: &str| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()))
    };
    for file in files {
        let text = std::fs::read_to_string(&file).expect("sources can be read");
        // Tests stand at the end of a file.
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let mut words =
                line.split(|letter: char| letter.is_whitespace() || "\"'`(".contains(letter));
            assert!(!words.any(is_option), "{}: {line}", file.display());
        }
    }
}

/// Drawing is the program's: an engine that links the library gets neither the report nor what draws it.
#[test]
fn the_library_has_no_plotters() {
    for name in ["libregflow.so", "libregflow.a"] {
        let library = installed().join("lib").join(name);
        let bytes = std::fs::read(&library).expect("the library is installed");
        for word in ["plotters", "regflow6report"] {
            let word = word.as_bytes();
            let found = bytes.windows(word.len()).any(|window| window == word);
            assert!(!found, "{} has {word:?}", library.display());
        }
    }
}
