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
    let known = Known::of(given);
    for (key, value) in table {
        let option = if key.len() == 1 {
            format!("-{key}")
        } else {
            format!("--{}", key.replace('_', "-"))
        };
        let negated = format!("--no-{}", key.replace('_', "-"));
        known.check(path, key, value, [&option, &negated])?;
        let is_given = given.iter().any(|argument| {
            let argument = argument.to_str().unwrap_or_default();
            argument == option || argument == negated || argument.starts_with(&format!("{option}="))
        });
        if is_given {
            continue;
        }
        match value {
            // What is true without an option is switched off by one: `symmetry = false` is --no-symmetry.
            toml::Value::Boolean(on) if known.find(&negated).is_some() => {
                if !on {
                    added.push(negated);
                }
            }
            toml::Value::Boolean(true) => added.push(option),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(values) => {
                for value in values {
                    let value = match value {
                        toml::Value::Table(table) => serde_json::to_string(table)?,
                        value => scalar(path, key, value)?,
                    };
                    added.push(format!("{option}={value}"));
                }
            }
            // A table is the configuration of a plugin, or a stage; it goes through as JSON.
            toml::Value::Table(table) => {
                added.push(format!("{option}={}", serde_json::to_string(table)?));
            }
            value => added.push(format!("{option}={}", scalar(path, key, value)?)),
        }
    }
    Ok(added.into_iter().map(OsString::from).collect())
}

/// The options that there are.
struct Known {
    /// Name of the subcommand.
    name: String,
    options: Vec<clap::Arg>,
}

impl Known {
    /// Those of the subcommand that is called; of all, if none is.
    fn of(given: &[OsString]) -> Self {
        let mut program = crate::Arguments::command();
        program.build();
        let called = program
            .get_subcommands()
            .find(|sub| given.iter().any(|argument| *argument == sub.get_name()));
        let (name, subcommands) = match called {
            Some(one) => (format!("bg-sample {}", one.get_name()), vec![one]),
            None => ("bg-sample".to_owned(), program.get_subcommands().collect()),
        };
        let options = subcommands.iter().flat_map(|sub| sub.get_arguments());
        Known {
            name,
            options: options.cloned().collect(),
        }
    }

    fn find(&self, option: &str) -> Option<&clap::Arg> {
        self.options
            .iter()
            .find(|known| match option.strip_prefix("--") {
                Some(long) => {
                    known.get_long() == Some(long)
                        || known
                            .get_all_aliases()
                            .is_some_and(|all| all.contains(&long))
                }
                None => known
                    .get_short()
                    .is_some_and(|short| option == format!("-{short}")),
            })
    }

    /// Refuses an entry that is no option, or that has not as many values as its option takes.
    fn check(&self, path: &Path, key: &str, value: &toml::Value, names: [&str; 2]) -> Outcome {
        let [option, negated] = names;
        let path = path.display();
        let Some(known) = self.find(option).or_else(|| self.find(negated)) else {
            return Err(format!("{path}: `{key}` is no option of `{}`", self.name).into());
        };
        let takes = known.get_action();
        let problem = match value {
            toml::Value::Array(values) if values.is_empty() => "is an empty list; leave it out",
            toml::Value::Array(_) if !matches!(takes, clap::ArgAction::Append) => {
                "is a list; expected one value"
            }
            toml::Value::Boolean(_) if takes.takes_values() => "is true or false; expected a value",
            toml::Value::Boolean(_) => return Ok(()),
            _ if !takes.takes_values() => "has a value; expected true or false",
            _ => return Ok(()),
        };
        Err(format!("{path}: `{key}` {problem}").into())
    }
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
        let toml = "steps = 10\nno_symmetry = true\njson = false\ntrajectory = [\"a\", \"b\"]\nseed = -5\n\
                    [architecture-config]\nhidden = 64";
        assert_eq!(
            merged(toml, &["bg-sample", "train"]),
            [
                "--architecture-config={\"hidden\":64}",
                "--no-symmetry",
                "--seed=-5",
                "--steps=10",
                "--trajectory=a",
                "--trajectory=b"
            ]
        );
        assert_eq!(merged("n = 5", &["bg-sample", "sample"]), ["-n=5"]);
    }

    #[test]
    fn entries_that_are_no_options_are_refused_by_file_and_name() {
        for (toml, expected) in [
            ("foo = 1", "`foo` is no option of `bg-sample train`"),
            ("n = 5", "`n` is no option"),
            ("steps = []", "`steps` is an empty list"),
            ("trajectory = []", "`trajectory` is an empty list"),
            ("seed = [1, 2]", "`seed` is a list"),
            ("steps = true", "`steps` is true or false"),
            ("json = \"yes\"", "`json` has a value"),
        ] {
            let table: toml::Table = toml.parse().unwrap();
            let line = ["bg-sample", "train"].map(OsString::from);
            let error = options(Path::new("my.toml"), &table, &line).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(expected) && error.contains("my.toml"),
                "{error}"
            );
        }
    }

    #[test]
    fn stages_become_options_in_their_order() {
        let toml = "[[stage]]\nobjective = \"likelihood\"\n[[stage]]\nobjective = \"polish\"\n\
                    [stage.polish]\ndata = 0.25";
        assert_eq!(
            merged(toml, &["bg-sample", "train"]),
            [
                r#"--stage={"objective":"likelihood"}"#,
                r#"--stage={"objective":"polish","polish":{"data":0.25}}"#
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
