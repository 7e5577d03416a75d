//! Tables of the report.

use super::html::escape;
use super::number::{self, count, percent, plain};
use crate::evaluation::{BasinRow, Evaluation, FreeEnergyRow};
use crate::metric::{Estimate, TRIMMED_FRACTION};

/// A cell with a number, marked up; `column` is its name where the page is too narrow for columns.
fn cell(column: &str, content: &str) -> String {
    format!("<td data-column=\"{column}\">{content}</td>")
}

/// A figure and its error, the latter less conspicuous; a dash if there is none.
fn figure(estimate: Option<&Estimate>) -> String {
    match estimate.map(number::estimate) {
        Some((value, Some(error))) => format!("{value} <span class=\"e\">± {error}</span>"),
        Some((value, None)) => value,
        None => "–".to_owned(),
    }
}

/// The cell that begins a row: a name, its unit and its meaning, all marked up.
fn name(name: &str, unit: &str, meaning: &str) -> String {
    let unit = match unit {
        "" => String::new(),
        unit => format!(" <span class=\"e\">({unit})</span>"),
    };
    let meaning = match meaning {
        "" => String::new(),
        meaning => format!("<small>{meaning}</small>"),
    };
    format!("<th scope=\"row\">{name}{unit}{meaning}</th>")
}

/// A table whose `columns` of numbers follow the names of its rows; `rows` are cells.
fn table(caption: &str, columns: &[&str], rows: impl IntoIterator<Item = String>) -> String {
    let columns: String = columns
        .iter()
        .map(|column| format!("<th scope=\"col\">{column}</th>"))
        .collect();
    let rows: String = rows
        .into_iter()
        .map(|row| format!("<tr>{row}</tr>\n"))
        .collect();
    format!(
        "<div class=\"scroll\"><table>\n<caption>{caption}</caption>\n\
         <thead><tr><td></td>{columns}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// What a k-hat says about the weights, in words, and whether that is good, fair or bad.
pub(super) fn verdict(k_hat: Option<f64>) -> (&'static str, &'static str) {
    match k_hat {
        None => ("cannot be told", "fair"),
        Some(k) if k < 0.5 => ("good", "good"),
        Some(k) if k <= 0.7 => ("usable", "fair"),
        Some(_) => ("do not trust these weights", "bad"),
    }
}

/// Figures of the weights.
pub(super) fn weights(evaluation: &Evaluation) -> String {
    let found = &evaluation.diagnostics;
    let log_z = Estimate {
        value: found.log_z,
        error: found.log_z_error,
    };
    let row = |label: &str, value: &str, meaning: &str| name(label, "", meaning) + &cell("", value);
    let rows = [
        row(
            "ESS/N, untrimmed",
            &plain(found.ess),
            &format!(
                "Kish’s effective sample size over the {} configurations drawn: (Σw)² / (N Σw²). 1 is a perfect model.",
                count(found.n)
            ),
        ),
        row(
            &format!("ESS/N, top {} % removed", 100.0 * TRIMMED_FRACTION),
            &plain(found.ess_trimmed),
            "The same without the largest weights, the convention of earlier papers; it looks better where the weights are bad.",
        ),
        row(
            "k-hat",
            &found
                .k_hat
                .map_or_else(|| "–".to_owned(), |k| number::fixed(k, 2)),
            &format!(
                "Shape of the weights’ tail: {}. Good below 0.5; above 0.7 no average over these weights is to be trusted.",
                verdict(found.k_hat).0
            ),
        ),
        row(
            "log Z",
            &figure(Some(&log_z)),
            "Logarithm of the mean weight: the target’s normalisation, and its free energy −kT log Z.",
        ),
        row(
            "log q, there and back",
            &plain(evaluation.consistency.error),
            "By how many nats the density of 90 % of the flow’s own samples differs between its two directions. Above 0.1, neither scores nor \
             Metropolis moves are exact.",
        ),
        row(
            "Weight zero",
            &percent(found.non_finite_fraction),
            "Share of the configurations drawn whose energy or density is not finite.",
        ),
    ];
    table("The importance weights.", &[""], rows)
}

/// Distances from the reference.
pub(super) fn distances(evaluation: &Evaluation) -> String {
    let rows = evaluation.metrics.iter().map(|metric| {
        let label = name(
            &escape(metric.label),
            &escape(metric.unit),
            &escape(&metric.explanation),
        );
        label
            + &cell("proposal", &figure(Some(&metric.proposal)))
            + &cell("reweighted", &figure(metric.reweighted.as_ref()))
            + &cell("floor", &figure(metric.floor.as_ref()))
    });
    table(
        "Distances from the reference, smaller is better. The floor is the distance between the first and the second half of \
         the reference: what the reference is uncertain by, so that no model can be told to be better than that.",
        &["proposal", "reweighted", "floor"],
        rows,
    )
}

/// Populations of the basins.
pub(super) fn basins(rows: &[BasinRow]) -> String {
    let rows = rows.iter().map(|row| {
        comparison(
            &row.name,
            &row.reference,
            &row.proposal,
            row.reweighted.as_ref(),
        )
    });
    table(
        "Populations of the basins. The error of the reference is from blocks of time.",
        COMPARISON,
        rows,
    )
}

/// Differences of free energy between basins.
pub(super) fn free_energies(rows: &[FreeEnergyRow], kt: f64) -> String {
    let rows = rows.iter().map(|row| {
        let name = format!("{} → {}", row.from, row.to);
        comparison(
            &name,
            &row.reference,
            &row.proposal,
            row.reweighted.as_ref(),
        )
    });
    table(
        &format!(
            "Free-energy differences ΔF = −kT ln (p<sub>to</sub> / p<sub>from</sub>) in kJ/mol; kT is {} kJ/mol.",
            plain(kt)
        ),
        COMPARISON,
        rows,
    )
}

const COMPARISON: &[&str] = &["reference", "proposal", "reweighted", "off by"];

/// Standard errors beyond which two figures are marked as different.
const FAR: f64 = 3.0;

/// A row of three estimates, and by how many of their common standard errors the reweighted one misses the reference.
fn comparison(
    label: &str,
    reference: &Estimate,
    proposal: &Estimate,
    reweighted: Option<&Estimate>,
) -> String {
    let off = reweighted.and_then(|found| deviation(reference, found));
    let off = match off {
        Some(off) if off > FAR => format!("<strong>{} σ</strong>", number::fixed(off, 1)),
        Some(off) => format!("{} σ", number::fixed(off, 1)),
        None => "–".to_owned(),
    };
    name(&escape(label), "", "")
        + &cell("reference", &figure(Some(reference)))
        + &cell("proposal", &figure(Some(proposal)))
        + &cell("reweighted", &figure(reweighted))
        + &cell("off by", &off)
}

/// `|a - b|` over the standard error of the difference; `None` where that is unknown.
fn deviation(a: &Estimate, b: &Estimate) -> Option<f64> {
    let error = a.error.hypot(b.error);
    let off = (a.value - b.value).abs() / error;
    (error.is_finite() && off.is_finite()).then_some(off)
}

/// Names and values.
pub(super) fn settings(settings: &[(String, String)]) -> String {
    let rows = settings
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_in_common_standard_errors() {
        let estimate = |value, error| Estimate { value, error };
        let found = deviation(&estimate(1.0, 0.3), &estimate(2.0, 0.4)).unwrap();
        assert!((found - 2.0).abs() < 1e-15);
        for error in [f64::NAN, f64::INFINITY] {
            let found = deviation(&estimate(1.0, 0.3), &estimate(2.0, error));
            assert_eq!(found, None);
        }
        assert_eq!(deviation(&estimate(1.0, 0.0), &estimate(1.0, 0.0)), None);
        assert_eq!(deviation(&estimate(1.0, 0.0), &estimate(2.0, 0.0)), None);
        let same = deviation(&estimate(1.0, 0.1), &estimate(1.0, 0.1));
        assert_eq!(same, Some(0.0));
        let cells = comparison("<x>", &estimate(0.1, 0.01), &estimate(0.2, 0.01), None);
        assert!(cells.contains("&lt;x&gt;") && cells.ends_with(">–</td>"));
        let far = estimate(0.2, 0.01);
        let cells = comparison("x", &estimate(0.1, 0.01), &far, Some(&far));
        assert!(cells.contains("<strong>7.1 σ</strong>"), "{cells}");
    }

    #[test]
    fn verdicts() {
        assert_eq!(verdict(Some(0.2)).1, "good");
        assert_eq!(verdict(Some(0.6)).1, "fair");
        assert_eq!(verdict(Some(0.9)).0, "do not trust these weights");
        assert_eq!(verdict(None).1, "fair");
    }
}
