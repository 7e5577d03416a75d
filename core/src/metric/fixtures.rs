//! Stored truths of the unit tests; `tests/data/metric/make.py` makes them.

use std::path::Path;

/// Comma-separated fields of each line of a fixture, `#` lines left out.
pub(super) fn table(name: &str) -> Vec<Vec<String>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/metric");
    let path = Path::new(folder).join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

/// One column of a table of numbers.
pub(super) fn numbers(name: &str, column: usize) -> Vec<f64> {
    table(name)
        .iter()
        .map(|row| row[column].parse().unwrap())
        .collect()
}
