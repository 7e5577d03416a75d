//! The figures that a subcommand ends with: a table for people, or one JSON object for programs.

use regflow::system::printable;
use serde_json::{Map, Value};

use crate::{Common, Outcome};

/// Named figures in the order of printing.
#[derive(Default)]
pub struct Figures {
    rows: Vec<(&'static str, Value, String)>,
    notes: Vec<String>,
}

impl Figures {
    /// Adds a figure: its JSON key and value, and the line for people.
    pub fn add(&mut self, key: &'static str, value: impl Into<Value>, text: impl Into<String>) {
        self.rows.push((key, value.into(), text.into()));
    }

    /// Adds a warning in words; JSON has them under `warnings`.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds warnings, if there are any.
    pub fn warn_all(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.notes.extend(warnings);
    }

    /// Prints everything.
    pub fn print(self, common: &Common) -> Outcome {
        if common.json {
            let mut object: Map<String, Value> = self
                .rows
                .into_iter()
                .map(|(key, value, _)| (key.to_owned(), value))
                .collect();
            object.insert("warnings".into(), self.notes.into());
            println!("{}", Value::Object(object));
            return Ok(());
        }
        let width = self.rows.iter().map(|(key, ..)| key.len()).max();
        for (key, _, text) in &self.rows {
            println!(
                "{:width$}  {}",
                key.replace('_', " "),
                printable(text),
                width = width.unwrap_or(0)
            );
        }
        for note in &self.notes {
            println!("warning: {}", printable(note));
        }
        Ok(())
    }
}
