//! The page: what stands where, and what its captions say.

use super::html::escape;
use super::maps::Maps;
use super::number::{self, count, percent, plain};
use super::{Panel, ReportError, Weights, curves, maps, palette, tables};
use crate::evaluation::Evaluation;

/// Residues whose Ramachandran plots are drawn: three maps each.
const RESIDUES: usize = 12;
/// Kinds of bonds and angles that are drawn.
const MARGINALS: usize = 40;

/// The whole document.
pub(super) fn page(evaluation: &Evaluation) -> Result<String, ReportError> {
    let weights = Weights::new(evaluation);
    let sections = [
        ("summary", "Summary", summary(evaluation)),
        ("basins", "Basins", basins(evaluation)),
        ("torsions", "Torsions", torsions(evaluation, &weights)?),
        ("energies", "Energies", energies(evaluation, &weights)?),
        (
            "geometry",
            "Bonds and angles",
            geometry(evaluation, &weights)?,
        ),
        ("weights", "Weights", importance(evaluation, &weights)?),
        (
            "surface",
            "Free-energy surface",
            surface(evaluation, &weights)?,
        ),
        ("tica", "Slow coordinates", tica(evaluation, &weights)?),
        ("training", "Training", training(evaluation)?),
        (
            "settings",
            "Settings and versions",
            tables::settings(&evaluation.settings),
        ),
    ];
    let links = sections
        .iter()
        .map(|(id, name, _)| format!("<a href=\"#{id}\">{name}</a>\n"));
    let bodies = sections.iter().map(|(id, name, body)| {
        format!("<section id=\"{id}\">\n<h2>{name}</h2>\n{body}</section>\n")
    });
    let title = escape(&evaluation.title);
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n\
         <style>\n{}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"kicker\">Evaluation of a Boltzmann generator</p>\n<h1>{title}</h1>\n</header>\n\
         {}<nav aria-label=\"Sections\">\n{}</nav>\n{}</main>\n</body>\n</html>\n",
        include_str!("style.css"),
        palette::dark_rules(),
        warnings(&evaluation.warnings),
        links.collect::<String>(),
        bodies.collect::<String>(),
    ))
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return "<aside class=\"box good\"><p><strong>No warnings.</strong> None of the checks of this evaluation found fault \
                with the model, its weights or the data.</p></aside>\n"
            .to_owned();
    }
    let items: String = warnings
        .iter()
        .map(|text| format!("<li>{}</li>\n", escape(text)))
        .collect();
    let heading = if warnings.len() == 1 {
        "Warning"
    } else {
        "Warnings"
    };
    format!(
        "<aside class=\"box bad\"><p><strong>{heading}</strong></p>\n<ul>\n{items}</ul></aside>\n"
    )
}

fn summary(evaluation: &Evaluation) -> String {
    let found = &evaluation.diagnostics;
    let (words, class) = tables::verdict(found.k_hat);
    let k_hat = found
        .k_hat
        .map_or_else(|| "–".to_owned(), |k| number::fixed(k, 2));
    let mut tiles = vec![
        tile(
            "ESS/N, untrimmed",
            &number::rounded(found.ess, 2),
            &format!(
                "{} of {} configurations",
                count((found.ess * found.n as f64).round() as usize),
                count(found.n)
            ),
            "",
        ),
        tile("k-hat", &k_hat, words, class),
    ];
    for metric in evaluation
        .metrics
        .iter()
        .filter(|m| ["energy_w1", "torus_w2"].contains(&m.key))
    {
        let better = metric.reweighted.as_ref().unwrap_or(&metric.proposal);
        let which = if metric.reweighted.is_some() {
            "reweighted"
        } else {
            "proposal"
        };
        let floor = metric.floor.as_ref().map_or_else(String::new, |floor| {
            format!("; floor {}", number::rounded(floor.value, 3))
        });
        let label = format!("{} ({})", metric.label, metric.unit);
        tiles.push(tile(
            &label,
            &number::rounded(better.value, 3),
            &format!("{which}{floor}"),
            "",
        ));
    }
    format!(
        "<div class=\"tiles\">\n{}</div>\n{}{}\
         <p>The <em>reference</em> is the trajectory given, {} frames; the <em>proposal</em> are {} configurations as the model draws \
         them; <em>reweighted</em> are the same with their importance weights. Figures carry one standard error.</p>\n",
        tiles.concat(),
        tables::weights(evaluation),
        tables::distances(evaluation),
        count(evaluation.reference.n),
        count(evaluation.proposal.n),
    )
}

fn tile(name: &str, value: &str, note: &str, class: &str) -> String {
    format!(
        "<div class=\"tile {class}\"><p>{}</p><p class=\"value\">{value}</p><p>{}</p></div>\n",
        escape(name),
        escape(note)
    )
}

fn basins(evaluation: &Evaluation) -> String {
    if evaluation.basins.is_empty() {
        return nothing(
            "No basins were given, and the molecule has no phi and psi for the default ones.",
        );
    }
    let mut text = tables::basins(&evaluation.basins);
    if !evaluation.free_energy_differences.is_empty() {
        text += &tables::free_energies(&evaluation.free_energy_differences, evaluation.kt);
    }
    text + "<p>“Off by” is the distance between reweighted and reference over the standard error of their difference; beyond \
            3 σ it is marked. Errors of weighted figures are too small where k-hat warns.</p>\n"
}

fn torsions(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    let pairs = &evaluation.torsions.pairs;
    if pairs.is_empty() {
        return Ok(nothing(
            "The molecule has no residue with both phi and psi: there is no Ramachandran plot.",
        ));
    }
    let mut text = String::new();
    for pair in pairs.iter().take(RESIDUES) {
        let maps = maps::ramachandran(evaluation, weights, pair)?;
        let caption = format!(
            "<b>{}.</b> Ramachandran plots as free energy −ln p above each plot’s minimum, in kT, in bins of {}°. All that the \
             reference visits should be there in the proposal, and the reweighted plot should equal the reference in \
             colour as well; bins without colour were never visited, or are rarer than the scale shows.",
            escape(&pair.residue),
            plain_short(maps.bin[0]),
        );
        text += &figure_of_maps(&maps, &caption);
    }
    if let Some(more) = pairs.len().checked_sub(RESIDUES).filter(|more| *more > 0) {
        text += &format!(
            "<p>The plots of {more} more residues are left out; their torsions count in the figures above.</p>\n"
        );
    }
    Ok(text)
}

fn energies(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    let Some(energies) = curves::energies(evaluation, weights)? else {
        return Ok(nothing("No energy is finite."));
    };
    let caption = format!(
        "Reduced energy u = U / kT of reference, proposal and reweighted proposal; area 1 each. A proposal shifted to the right \
         has strained configurations; what matters is that it covers the reference’s range, and that the reweighted curve \
         lies on the reference. {} of the proposal lies outside these axes.",
        percent(energies.proposal_outside)
    );
    Ok(figure(&energies.panels, &key(weights), &caption, "two"))
}

fn geometry(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    if evaluation.geometry.is_empty() {
        return Ok(nothing("The topology names no bonds."));
    }
    let mut panels = Vec::new();
    for marginal in evaluation.geometry.iter().take(MARGINALS) {
        let mut panel = curves::marginal(marginal)?;
        if marginal.broken > 0.0 {
            panel.heading += &format!(" · {} broken", percent(marginal.broken));
        }
        panels.push(panel);
    }
    let mut caption = "Bond lengths and angles by kind; heights are square roots of densities, so that small tails show. Broken chemistry shows as a proposal (dashed) with a second peak or with \
         tails where the reference has none; “broken” is the share of the proposal’s values far outside all that the reference \
         ever shows."
        .to_owned();
    if evaluation.geometry.len() > MARGINALS {
        caption += &format!(
            " {} more kinds are left out.",
            evaluation.geometry.len() - MARGINALS
        );
    }
    Ok(figure(&panels, &key(weights), &caption, "many"))
}

fn importance(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    let mut text = String::new();
    if let Some((panel, outside)) = curves::log_weights(evaluation, weights)? {
        let caption = format!(
            "Logarithm of weight over mean weight. Filled: share of the configurations; line: share of the total weight. A \
             perfect model has a spike at 0. Where the line rises to the right edge, the average rests on a few \
             configurations, and larger weights have not been seen yet. {} of the configurations have smaller weights than these axes show.",
            percent(outside)
        );
        let key = "<ul class=\"key\"><li class=\"samples\">configurations</li><li class=\"reweighted\">weight</li></ul>\n";
        text += &figure(&[panel], key, &caption, "one");
    }
    if let Some(panel) = curves::tail(evaluation)? {
        let caption = format!(
            "Share of the configurations with at least a given weight, and the generalised Pareto tail of k-hat = {} above \
             its threshold (dashed). A straight tail of slope −1/k-hat; steeper than −2 (k-hat below 0.5) the weights have \
             a variance, flatter than −1.43 (above 0.7) do not trust them.",
            evaluation
                .diagnostics
                .k_hat
                .map_or_else(|| "–".to_owned(), |k| number::fixed(k, 2))
        );
        let key = "<ul class=\"key\"><li class=\"dots\">configurations</li><li class=\"fit\">generalised Pareto</li></ul>\n";
        text += &figure(&[panel], key, &caption, "one");
    }
    if let Some(panel) = curves::effective_size(evaluation)? {
        let caption = "ESS/n of the first n configurations. Flat is good; a curve that keeps falling, in steps, has not seen its \
                       largest weights yet, and the last value is too high.";
        let key = "<ul class=\"key\"><li class=\"reweighted\">ESS/n</li></ul>\n";
        text += &figure(&[panel], key, caption, "one");
    }
    if text.is_empty() {
        return Ok(nothing("No weight is above zero."));
    }
    Ok(format!("<div class=\"row\">\n{text}</div>\n"))
}

fn surface(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    let Some(maps) = maps::surface(evaluation, weights)? else {
        return Ok(nothing(
            "There is no plane to draw it on, or no weight above zero.",
        ));
    };
    let caption = format!(
        "Free energy −kT ln p above its minimum, from the reference and from the reweighted configurations, and the standard error \
         of the latter (delta method) in each bin; one kT, {} kJ/mol, is what a single configuration leaves unknown. Differences \
         between the first two maps mean something where they are larger than the third.",
        plain(evaluation.kt)
    );
    Ok(figure_of_maps(&maps, &caption))
}

fn tica(evaluation: &Evaluation, weights: &Weights) -> Result<String, ReportError> {
    let Some(maps) = maps::tica(evaluation, weights)? else {
        return Ok(nothing("The reference has no time-lagged components."));
    };
    let caption = "The first two time-lagged independent components of the reference, its slowest motions: free energy −ln p above each \
                   map’s minimum, in kT. Islands of the reference that the proposal lacks are basins that it does not know; no \
                   weight brings them back.";
    Ok(figure_of_maps(&maps, caption))
}

fn training(evaluation: &Evaluation) -> Result<String, ReportError> {
    let Some(curve) = &evaluation.curve else {
        return Ok(nothing("No training curve lies beside the model."));
    };
    let panels = curves::training(curve)?;
    if panels.is_empty() {
        return Ok(nothing("The training curve is empty."));
    }
    let seconds = curve
        .seconds
        .iter()
        .copied()
        .filter(|s| s.is_finite())
        .fold(0.0, f64::max);
    let stages = match panels.len() {
        ..3 => "",
        _ => "Stages are shaded; their losses may be different quantities. ",
    };
    let caption = format!(
        "Loss (median over neighbouring steps; the first steep fall is cut off) and loss on held-out data over {} minutes. \
         {stages}A validation loss that rises while the loss falls is \
         overfitting.",
        plain_short(seconds / 60.0)
    );
    let key = "<ul class=\"key\"><li class=\"training\">training</li><li class=\"proposal\">samples</li>\
        <li class=\"reweighted\">held out</li></ul>\n";
    let class = if panels.len() < 3 { "two" } else { "three" };
    Ok(figure(&panels, key, &caption, class))
}

/// Three digits at most.
fn plain_short(value: f64) -> String {
    let decimals = if value.fract().abs() < 0.05 || value >= 100.0 {
        0
    } else {
        1
    };
    number::fixed(value, decimals)
}

fn nothing(text: &str) -> String {
    format!("<p class=\"nothing\">{}</p>\n", escape(text))
}

/// Names of the three curves.
fn key(weights: &Weights) -> String {
    let reweighted = match weights.relative() {
        Some(_) => "<li class=\"reweighted\">reweighted</li>",
        None => "",
    };
    format!(
        "<ul class=\"key\"><li class=\"reference\">reference</li><li class=\"proposal\">proposal</li>{reweighted}</ul>\n"
    )
}

/// Panels in a grid, with the names of their curves above and a caption (marked up) below.
fn figure(panels: &[Panel], key: &str, caption: &str, class: &str) -> String {
    format!(
        "<figure>\n{key}<div class=\"panels {class}\">\n{}</div>\n<figcaption>{caption}</figcaption>\n</figure>\n",
        panels.iter().map(panel).collect::<String>()
    )
}

fn figure_of_maps(maps: &Maps, caption: &str) -> String {
    figure(&maps.panels, "", caption, "three")
}

fn panel(panel: &Panel) -> String {
    format!(
        "<div class=\"panel\"><h3>{}</h3>\n{}</div>\n",
        escape(&panel.heading),
        panel.svg
    )
}
