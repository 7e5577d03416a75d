//! Stored truths of the unit tests; `tests/data/metric/make.py` makes them.

use std::path::Path;

fn text(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/metric");
    let path = Path::new(folder).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A fixture in JSON.
pub(super) fn json(name: &str) -> serde_json::Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// Park and Miller's generator of numbers in (0, 1), the same in the scripts of the fixtures.
pub(super) fn sequence(seed: u64) -> impl Iterator<Item = f64> {
    const MODULUS: u64 = 2_147_483_647;
    let states = std::iter::successors(Some(seed), |state| Some(state * 16807 % MODULUS));
    states.skip(1).map(|state| state as f64 / MODULUS as f64)
}

/// Comma-separated fields of each line of a fixture, `#` lines left out.
pub(super) fn table(name: &str) -> Vec<Vec<String>> {
    text(name)
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
