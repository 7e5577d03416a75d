//! `include/regflow.h` is what cbindgen makes of the C ABI's source.

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
#[test]
fn header_is_up_to_date() {
    let generated = generate();
    let path = root().join("include/regflow.h");
    if std::env::var_os("REGFLOW_WRITE_HEADER").is_some_and(|value| value == "1") {
        std::fs::write(&path, &generated).expect("include/regflow.h can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = committed.lines().zip(generated.lines()).enumerate();
    for (number, (has, needs)) in lines {
        assert!(
            has == needs,
            "include/regflow.h:{} is out of date, run `make header`\n  has:   {has}\n  needs: {needs}",
            number + 1
        );
    }
    assert!(
        committed == generated,
        "include/regflow.h is not as long as it should be, run `make header`"
    );
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
