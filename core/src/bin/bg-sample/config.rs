//! `--config FILE.toml`: its entries become options, so that clap checks both alike.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use crate::Outcome;

/// The command line with the options of the configuration file added; those that it gives itself win.
pub fn merge(mut arguments: Vec<OsString>) -> Outcome<Vec<OsString>> {
    let Some(path) = config_path(&arguments) else {
        return Ok(arguments);
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("{}: cannot read the configuration: {e}", path.display()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e| format!("{} is not a TOML file: {e}", path.display()))?;
    let added = options(&path, &table, &arguments)?;
    arguments.extend(added);
    Ok(arguments)
}

fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let argument = argument.to_str().unwrap_or_default();
        if argument == "--config" {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument.strip_prefix("--config=") {
            return Some(path.into());
        }
    }
    None
}

fn options(path: &Path, table: &toml::Table, given: &[OsString]) -> Outcome<Vec<OsString>> {
    let mut added = Vec::new();
    for (key, value) in table {
        let option = if key.len() == 1 {
            format!("-{key}")
        } else {
            format!("--{}", key.replace('_', "-"))
        };
        let negated = format!("--no-{}", key.replace('_', "-"));
        let is_given = given.iter().any(|argument| {
            let argument = argument.to_str().unwrap_or_default();
            argument == option || argument == negated || argument.starts_with(&format!("{option}="))
        });
        if is_given {
            continue;
        }
        match value {
            // What is true without an option is switched off by one: `symmetry = false` is --no-symmetry.
            toml::Value::Boolean(on) if is_negated(&negated) => {
                if !on {
                    added.push(negated);
                }
            }
            toml::Value::Boolean(true) => added.push(option),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(values) => {
                for value in values {
                    added.push(option.clone());
                    added.push(match value {
                        toml::Value::Table(table) => serde_json::to_string(table)?,
                        value => scalar(path, key, value)?,
                    });
                }
            }
            // A table is the configuration of a plugin, or a stage; it goes through as JSON.
            toml::Value::Table(table) => {
                added.push(option);
                added.push(serde_json::to_string(table)?);
            }
            value => {
                added.push(option);
                added.push(scalar(path, key, value)?);
            }
        }
    }
    Ok(added.into_iter().map(OsString::from).collect())
}

/// Whether a subcommand has this option.
fn is_negated(option: &str) -> bool {
    let program = crate::Arguments::command();
    program
        .get_subcommands()
        .flat_map(|subcommand| subcommand.get_arguments())
        .any(|argument| argument.get_long() == option.strip_prefix("--"))
}

fn scalar(path: &Path, key: &str, value: &toml::Value) -> Outcome<String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        other => Err(format!(
            "{}: {key} is a {}; expected a string, a number, true, false, or a list of those",
            path.display(),
            other.type_str()
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(toml: &str, line: &[&str]) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let mut arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        arguments.push("--config".into());
        arguments.push(file.path().into());
        merge(arguments)
            .unwrap()
            .split_off(line.len() + 2)
            .into_iter()
            .map(|a| a.into_string().unwrap())
            .collect()
    }

    #[test]
    fn entries_become_options() {
        let toml = "steps = 10\nno_symmetry = true\njson = false\ntrajectory = [\"a\", \"b\"]\nn = 5\n\
                    [architecture-config]\nhidden = 64";
        assert_eq!(
            merged(toml, &["bg-sample", "train"]),
            [
                "--architecture-config",
                "{\"hidden\":64}",
                "-n",
                "5",
                "--no-symmetry",
                "--steps",
                "10",
                "--trajectory",
                "a",
                "--trajectory",
                "b"
            ]
        );
    }

    #[test]
    fn stages_become_options_in_their_order() {
        let toml = "[[stage]]\nobjective = \"likelihood\"\n[[stage]]\nobjective = \"polish\"\n\
                    [stage.polish]\ndata = 0.25";
        assert_eq!(
            merged(toml, &["bg-sample", "train"]),
            [
                "--stage",
                r#"{"objective":"likelihood"}"#,
                "--stage",
                r#"{"objective":"polish","polish":{"data":0.25}}"#
            ]
        );
    }

    #[test]
    fn what_is_on_without_an_option_is_switched_off() {
        let line = ["bg-sample", "train"];
        assert_eq!(merged("symmetry = false", &line), ["--no-symmetry"]);
        assert!(merged("symmetry = true", &line).is_empty());
        assert!(merged("symmetry = true", &["bg-sample", "train", "--no-symmetry"]).is_empty());
    }

    #[test]
    fn the_command_line_wins() {
        assert!(merged("seed = 1", &["bg-sample", "train", "--seed", "2"]).is_empty());
        assert!(merged("seed = 1", &["bg-sample", "train", "--seed=2"]).is_empty());
    }
}
