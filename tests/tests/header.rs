//! `include/regflow.h` is what cbindgen makes of the C ABI's source, and the operations in `include/regflow_plugin.h` are those of
//! the table.

use regflow_tests::root;

fn generate() -> String {
    let ffi = root().join("ffi");
    let config = cbindgen::Config::from_file(ffi.join("cbindgen.toml"))
        .expect("ffi/cbindgen.toml is readable");
    // The modules of the crate are found from its root.
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(ffi.join("src/lib.rs"));
    let mut header = Vec::new();
    builder
        .generate()
        .expect("cbindgen understands ffi/src")
        .write(&mut header);
    String::from_utf8(header).expect("the header is UTF-8")
}

/// Fails on any difference. With `REGFLOW_WRITE_HEADER=1` (`make header`) it writes the file instead.
fn check(name: &str, generated: &str) {
    let path = root().join("include").join(name);
    if std::env::var_os("REGFLOW_WRITE_HEADER").is_some_and(|value| value == "1") {
        std::fs::write(&path, generated).expect("the header can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = committed.lines().zip(generated.lines()).enumerate();
    for (number, (has, needs)) in lines {
        assert!(
            has == needs,
            "include/{name}:{} is out of date, run `make header`\n  has:   {has}\n  needs: {needs}",
            number + 1
        );
    }
    assert!(
        committed == generated,
        "include/{name} is not as long as it should be, run `make header`"
    );
}

#[test]
fn header_is_up_to_date() {
    check("regflow.h", &generate());
}

#[test]
fn operations_of_the_plugin_header_are_those_of_the_table() {
    let path = root().join("include/regflow_plugin.h");
    let header = std::fs::read_to_string(path).expect("include/regflow_plugin.h is there");
    let renewed = regflow_tests::plugin_header::renewed(&header);
    check(
        "regflow_plugin.h",
        &renewed.expect("the marks of the operations"),
    );
}

/// Functions that compute need the threads, which a forked process does not have: all of them say so.
#[test]
fn functions_that_compute_tell_of_forks() {
    let header = generate();
    let mut found = 0;
    for file in std::fs::read_dir(root().join("ffi/src")).expect("the sources are there") {
        let source = std::fs::read_to_string(file.expect("a file").path()).expect("a source");
        for call in source.split(" compute(\"").skip(1) {
            let name = call.split('"').next().unwrap_or_default();
            let (before, _) = header
                .split_once(&format!(" {name}("))
                .expect("its declaration");
            let comment = before.rsplit("/**").next().unwrap_or_default();
            assert!(
                comment.contains("`REGFLOW_ERROR_STATE`"),
                "{name}: {comment}"
            );
            found += 1;
        }
    }
    assert!(found > 15, "{found}");
}

/// Each function says which version brought it and what threads may do with it.
#[test]
fn every_function_is_documented() {
    let header = generate();
    let mut functions = Vec::new();
    for block in header.split("\n\n") {
        let (comment, declaration) = block.rsplit_once("*/").unwrap_or(("", block));
        let Some((before, _)) = declaration.split_once('(') else {
            continue;
        };
        let Some(name) = before
            .rsplit([' ', '*'])
            .next()
            .filter(|name| name.starts_with("regflow_"))
        else {
            continue;
        };
        assert!(
            comment.contains("Since "),
            "{name} does not say since which version it is there"
        );
        assert!(
            comment.contains("thread"),
            "{name} says nothing about threads"
        );
        functions.push(name);
    }
    assert!(
        functions.contains(&"regflow_last_error") && functions.contains(&"regflow_model_sample"),
        "{functions:?}"
    );
}
