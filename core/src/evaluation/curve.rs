//! The training curve, as `bg-sample train` writes it.

use std::path::Path;

use super::{Curve, EvaluationError};
use crate::system::SystemError;

impl Curve {
    /// Reads a CSV file with a header line, whose columns `step`, `seconds` and `loss` are needed and `stage`, `validation`, `ess` and
    /// `forward_ess` are optional, as are their values. A last line without an end, as a run leaves that was killed, is passed over. Where steps
    /// are repeated, as after a resumption from an earlier checkpoint, the last time counts.
    ///
    /// # Errors
    /// The file cannot be read or is no such table.
    pub fn read(path: &Path) -> Result<Self, EvaluationError> {
        let text = std::fs::read_to_string(path).map_err(|source| SystemError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|(line, reason)| EvaluationError::Curve {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// The table in `text`, or the line that is wrong, and why.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name: &str| header.iter().position(|&found| found == name);
        let needed = |name: &str| {
            column(name).ok_or_else(|| {
                let reason = format!("no column \"{name}\" in \"{}\"", header.join(","));
                (1, reason)
            })
        };
        let [step, seconds, loss] = ["step", "seconds", "loss"].map(needed);
        let (step, seconds, loss) = (step?, seconds?, loss?);
        let optional = ["stage", "validation", "ess", "forward_ess"];
        let [stage, validation, ess, forward_ess] = optional.map(column);
        let mut curve = Self::default();
        for (number, line) in (2..).zip(lines) {
            let fields: Vec<&str> = line.split(',').collect();
            if fields.len() != header.len() {
                let (expected, found) = (header.len(), fields.len());
                return Err((number, format!("{found} values for {expected} columns")));
            }
            let value = |column: usize| -> Result<f64, (usize, String)> {
                fields[column].trim().parse().map_err(|_| {
                    let reason =
                        format!("{} is \"{}\", not a number", header[column], fields[column]);
                    (number, reason)
                })
            };
            let optional = |column: Option<usize>| match column {
                Some(column) if !fields[column].trim().is_empty() => value(column).map(Some),
                _ => Ok(None),
            };
            let name = stage.map_or("", |column| fields[column].trim());
            let at = value(step)?;
            curve.truncate(curve.step.partition_point(|&earlier| earlier < at));
            curve.stage.push(name.to_owned());
            curve.step.push(at);
            curve.seconds.push(value(seconds)?);
            curve.loss.push(value(loss)?);
            curve.validation.push(optional(validation)?);
            curve.ess.push(optional(ess)?);
            curve.forward_ess.push(optional(forward_ess)?);
        }
        Ok(curve)
    }

    /// Forgets all but the first `n` steps.
    fn truncate(&mut self, n: usize) {
        self.stage.truncate(n);
        self.step.truncate(n);
        self.seconds.truncate(n);
        self.loss.truncate(n);
        self.validation.truncate(n);
        self.ess.truncate(n);
        self.forward_ess.truncate(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_their_absence() {
        let text = "stage,step,seconds,loss,gradient_norm,learning_rate,validation,ess,forward_ess\n\
                    1-likelihood,1,0.5,3.25,1,1e-3,,,\n\
                    2-polish,2,0.75,NaN,1,1e-3,2.5,0.125,0.25\n\
                    2-polish,3,0.8";
        let found = Curve::parse(text).unwrap();
        assert_eq!(found.stage, ["1-likelihood", "2-polish"]);
        assert_eq!(found.step, [1.0, 2.0]);
        assert_eq!(found.seconds, [0.5, 0.75]);
        assert!(found.loss[0] == 3.25 && found.loss[1].is_nan());
        assert_eq!(found.validation, [None, Some(2.5)]);
        assert_eq!(found.ess, [None, Some(0.125)]);
        assert_eq!(found.forward_ess, [None, Some(0.25)]);

        let old = "step,seconds,loss,gradient_norm,learning_rate,validation\n1,0.1,2,1,1,7\n";
        let found = Curve::parse(old).unwrap();
        assert_eq!((found.stage, found.ess), (vec![String::new()], vec![None]));
        assert_eq!(found.validation, [Some(7.0)]);
        let empty = Curve::parse("step,seconds,loss\n").unwrap();
        assert_eq!(empty, Curve::default());
    }

    #[test]
    fn steps_done_again_count_once() {
        let text = "step,seconds,loss\n1,1,1\n2,2,2\n3,3,3\n2,4,5\n3,6,7\n4,8,9\n";
        let found = Curve::parse(text).unwrap();
        assert_eq!(found.step, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found.loss, [1.0, 5.0, 7.0, 9.0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let fails = |text: &str| Curve::parse(text).unwrap_err();
        assert_eq!(fails("a,b\n"), (1, "no column \"step\" in \"a,b\"".into()));
        assert_eq!(fails("").0, 1);
        let table = |row: &str| format!("step,seconds,loss\n1,2,3\n{row}\n");
        assert_eq!(
            fails(&table("1,2")),
            (3, "2 values for 3 columns".to_owned())
        );
        assert_eq!(
            fails(&table("1,x,3")),
            (3, "seconds is \"x\", not a number".to_owned())
        );
    }
}
