//! Errors in the program's words: the library names fields of a job, the program options of the command line.

use std::error::Error;

use clap::CommandFactory;
use regflow::system::{SystemError, printable};
use regflow::train::{JobError, TrainError};

use crate::Arguments;

/// Options that are not called as the field of a job that they set.
const OTHER_NAMES: [(&str, &str); 2] = [("noise", "target-noise"), ("stages", "stage")];

/// The message of an error and of its causes.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let mut message = one(error);
    let mut cause = error.source();
    while let Some(source) = cause {
        let text = one(source);
        if !message.contains(&text) {
            message = format!("{message}\n  because: {text}");
        }
        cause = source.source();
    }
    message
}

fn one(error: &(dyn Error + 'static)) -> String {
    // Names of files and what plugins say are quoted as well.
    let text = printable(&error.to_string()).into_owned();
    if error.is::<JobError>() || error.is::<TrainError>() {
        return with_options(&text);
    }
    if let Some(SystemError::BrokenMolecule { .. }) = error.downcast_ref() {
        return format!(
            "{text}; beads of a coarse-grained model, and configurations that a flow made, need --accept-long-bonds"
        );
    }
    text
}

/// `learning_rate` in backquotes becomes --learning-rate if `train` has such an option.
fn with_options(text: &str) -> String {
    let program = Arguments::command();
    let options: Vec<&str> = program
        .find_subcommand("train")
        .into_iter()
        .flat_map(|train| train.get_arguments())
        .filter_map(|argument| argument.get_long())
        .collect();
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        let other = OTHER_NAMES.iter().find(|(field, _)| *field == part);
        let option = other.map_or_else(|| part.replace('_', "-"), |(_, option)| (*option).into());
        if place % 2 == 0 {
            out += part;
        } else if options.contains(&option.as_str()) {
            out += &format!("--{option}");
        } else {
            out += &format!("`{part}`");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_options() {
        let text = "`learning_rate` and `noise`, or `forces` of a stage, `out` /a`b";
        assert_eq!(
            with_options(text),
            "--learning-rate and --target-noise, or `forces` of a stage, --out /a`b`"
        );
    }
}
