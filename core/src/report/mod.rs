//! An evaluation as one page: figures, tables and warnings in a file that needs nothing else.
//!
//! The page holds its figures as SVG, loads nothing and runs no program. It follows the reader's choice of light or dark, fits a
//! phone, and prints.

mod axis;
mod bins;
mod chart;
mod curves;
#[cfg(test)]
mod fixtures;
mod html;
mod maps;
mod number;
mod page;
mod palette;
mod tables;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use crate::evaluation::Evaluation;
use crate::system::{SystemError, write_atomically};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] SystemError),
    /// A figure cannot be drawn.
    #[error("the figure {figure:?} of the report cannot be drawn: {reason}")]
    Figure {
        /// Its title.
        figure: String,
        /// What the drawing library says.
        reason: String,
    },
}

/// Writes the report of an evaluation to `path`, an HTML file; an old one stays until the new one is whole.
///
/// # Errors
/// The file cannot be written, or a figure cannot be drawn.
pub fn write(path: &Path, evaluation: &Evaluation) -> Result<(), ReportError> {
    let page = page::page(evaluation)?;
    write_atomically(path, |file| file.write_all(page.as_bytes()))?;
    Ok(())
}

/// A figure with a name above it.
struct Panel {
    heading: String,
    svg: String,
}

impl Panel {
    fn new(heading: &str, svg: String) -> Self {
        Self {
            heading: heading.to_owned(),
            svg,
        }
    }
}

fn draw(chart: &chart::Chart) -> Result<String, ReportError> {
    chart.svg().map_err(|reason| ReportError::Figure {
        figure: chart.title.clone(),
        reason: reason.to_string(),
    })
}

/// Weights of the configurations drawn, relative to the largest one.
struct Weights(Option<Vec<f64>>);

impl Weights {
    fn new(evaluation: &Evaluation) -> Self {
        let relative = crate::metric::relative_weights(&evaluation.log_weight);
        Self(relative.map(|(weights, _)| weights))
    }

    /// `[n]`; `None` if no weight is above zero.
    fn relative(&self) -> Option<&[f64]> {
        self.0.as_deref()
    }
}
