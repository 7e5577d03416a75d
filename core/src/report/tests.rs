use std::collections::HashSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::fixtures::{estimate, evaluation};
use super::page::page;
use crate::evaluation::{Evaluation, Sample, Torsions};

const SECTIONS: [&str; 10] = [
    "summary", "basins", "torsions", "energies", "geometry", "weights", "surface", "tica",
    "training", "settings",
];

/// The page if it is well-formed and self-contained.
fn checked(evaluation: &Evaluation) -> String {
    let page = page(evaluation).unwrap();
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&page, options).unwrap();
    let mut ids = HashSet::new();
    let mut targets = HashSet::new();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let foreign = [
            "script", "link", "iframe", "object", "img", "image", "use", "base",
        ];
        assert!(!foreign.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            match attribute.name() {
                "id" => assert!(ids.insert(attribute.value())),
                "href" => {
                    let target = attribute.value().strip_prefix('#');
                    targets.insert(target.unwrap_or_else(|| panic!("{}", attribute.value())));
                }
                "src" | "srcset" | "style" => panic!("{attribute:?}"),
                name => assert!(!name.starts_with("on"), "{name}"),
            }
        }
        if name == "svg" {
            let named = |tag: &str| {
                let child = node.children().find(|child| child.has_tag_name(tag));
                child
                    .and_then(|child| child.text())
                    .is_some_and(|text| !text.is_empty())
            };
            assert!(named("title") && named("desc") && node.attribute("role") == Some("img"));
        }
    }
    assert!(!page.contains("http") && !page.contains("url(") && !page.contains("@import"));
    assert!(
        !page.contains("NaN") && !page.contains(">inf"),
        "a number that is none"
    );
    for section in SECTIONS {
        assert!(ids.contains(section), "{section}");
    }
    assert_eq!(ids, targets);
    page
}

fn figures(page: &str) -> usize {
    page.matches("<svg").count()
}

#[test]
fn a_whole_report() {
    let evaluation = evaluation(3, 20_000, 10_000);
    let page = checked(&evaluation);
    assert!(page.contains("No warnings"));
    // Per residue three maps and a bar; energies 2; geometry 5; weights 3; surface 3 and 2 bars; TICA 3 and a bar; training 1, 3 for
    // the stages, 1 for the ESS.
    assert_eq!(figures(&page), 3 * 4 + 2 + 5 + 3 + 5 + 4 + 5);
    for text in [
        "E-W1",
        "TICA-W2",
        "ALA2 beta → ALA2 alpha",
        "nsf, 4 layers of 64",
        "1.2\u{202f}% broken",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.len() < 2_000_000, "{}", page.len());
}

#[test]
fn large_molecules_and_many_samples_stay_below_two_megabytes() {
    let mut evaluation = evaluation(20, 100_000, 100_000);
    let marginal = evaluation.geometry[0].clone();
    evaluation.geometry = vec![marginal; 100];
    let page = checked(&evaluation);
    assert!(page.contains("8 more residues") && page.contains("60 more kinds"));
    assert!(page.len() < 2_000_000, "{}", page.len());
}

#[test]
fn warnings_stand_first() {
    let mut evaluation = evaluation(1, 500, 500);
    evaluation.warnings = vec![
        "k-hat 0.9: do not trust these weights".to_owned(),
        "<b>".to_owned(),
    ];
    evaluation.diagnostics.k_hat = Some(0.9);
    let page = checked(&evaluation);
    let at = page.find("k-hat 0.9: do not trust these weights").unwrap();
    assert!(at < page.find("<section").unwrap() && page.contains("<li>&lt;b&gt;</li>"));
    assert!(!page.contains("No warnings"));
}

#[test]
fn names_are_text() {
    let mut evaluation = evaluation(1, 300, 300);
    let name = "<script>alert('&')</script>\"\u{0}";
    evaluation.title = name.to_owned();
    evaluation.settings = vec![(name.to_owned(), name.to_owned())];
    evaluation.warnings = vec![name.to_owned()];
    evaluation.torsions.pairs[0].residue = name.to_owned();
    evaluation.basins[0].name = name.to_owned();
    evaluation.free_energy_differences[0].to = name.to_owned();
    evaluation.geometry[0].label = name.to_owned();
    evaluation.metrics[0].explanation = name.to_owned();
    evaluation
        .curve
        .as_mut()
        .unwrap()
        .stage
        .fill(name.to_owned());
    checked(&evaluation);
}

#[test]
fn nothing_to_show() {
    let mut evaluation = evaluation(0, 1, 1);
    evaluation.torsions = Torsions::default();
    let empty = Sample {
        n: 0,
        reduced_energy: Vec::new(),
        torsions: Vec::new(),
        tica: Vec::new(),
    };
    evaluation.reference = empty.clone();
    evaluation.proposal = empty;
    evaluation.log_weight.clear();
    evaluation.ess_against_n.clear();
    evaluation.geometry.clear();
    evaluation.basins.clear();
    evaluation.free_energy_differences.clear();
    evaluation.metrics.clear();
    evaluation.settings.clear();
    evaluation.curve = Some(Default::default());
    assert_eq!(figures(&checked(&evaluation)), 0);
    evaluation.curve = None;
    assert!(checked(&evaluation).contains("No training curve"));
}

#[test]
fn one_sample_of_each() {
    let mut evaluation = evaluation(1, 1, 1);
    evaluation.ess_against_n = vec![(1, 1.0)];
    checked(&evaluation);
}

#[test]
fn no_weight_above_zero() {
    let mut evaluation = evaluation(1, 400, 400);
    evaluation.log_weight.fill(f64::NEG_INFINITY);
    evaluation.diagnostics.ess = 0.0;
    evaluation.diagnostics.k_hat = None;
    evaluation.diagnostics.log_z = f64::NEG_INFINITY;
    evaluation.diagnostics.log_z_error = f64::NAN;
    evaluation
        .metrics
        .iter_mut()
        .for_each(|m| m.reweighted = None);
    evaluation
        .basins
        .iter_mut()
        .for_each(|b| b.reweighted = None);
    evaluation
        .geometry
        .iter_mut()
        .for_each(|m| m.reweighted = None);
    let page = checked(&evaluation);
    assert!(!page.contains("<li class=\"reweighted\">reweighted"));
    assert!(page.contains("cannot be told"));
}

#[test]
fn numbers_beyond_all_measure() {
    let mut evaluation = evaluation(2, 600, 600);
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e300,
        -1e300,
        f64::MAX,
        0.0,
    ];
    let spoil = |values: &mut [f64], every: usize| {
        for (i, value) in values.iter_mut().enumerate().step_by(every) {
            *value = odd[i / every % odd.len()];
        }
    };
    spoil(&mut evaluation.proposal.reduced_energy, 3);
    spoil(&mut evaluation.proposal.torsions, 5);
    spoil(&mut evaluation.proposal.tica, 5);
    spoil(&mut evaluation.reference.reduced_energy, 7);
    spoil(&mut evaluation.reference.tica, 2);
    spoil(&mut evaluation.log_weight, 4);
    evaluation.geometry[0].edges = vec![0.0, 0.0, f64::NAN];
    evaluation.geometry[1].proposal.fill(f64::NAN);
    evaluation.ess_against_n.push((usize::MAX, f64::NAN));
    evaluation.metrics[0].proposal = estimate(1e300, f64::INFINITY);
    evaluation.diagnostics.mean_reduced_energy = f64::NAN;
    let curve = evaluation.curve.as_mut().unwrap();
    spoil(&mut curve.loss, 2);
    spoil(&mut curve.step, 100);
    checked(&evaluation);
    // All of it.
    evaluation.proposal.reduced_energy.fill(1e300);
    evaluation.log_weight.fill(-1e300);
    evaluation.reference.tica.fill(f64::NAN);
    evaluation.curve.as_mut().unwrap().loss.fill(f64::NAN);
    checked(&evaluation);
}

#[test]
fn arrays_that_do_not_match_lose_figures_but_not_the_page() {
    let mut evaluation = evaluation(2, 300, 300);
    evaluation.log_weight.truncate(100);
    evaluation.proposal.torsions.truncate(77);
    evaluation.torsions.pairs[1].psi = 99;
    let curve = evaluation.curve.as_mut().unwrap();
    curve.stage.truncate(1500);
    curve.loss.truncate(10);
    curve.validation.clear();
    checked(&evaluation);
}

#[test]
fn the_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let evaluation = evaluation(1, 300, 300);
    super::write(&path, &evaluation).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        page(&evaluation).unwrap()
    );
    let error = super::write(&folder.path().join("missing/report.html"), &evaluation).unwrap_err();
    assert!(error.to_string().contains("missing/report.html"), "{error}");
}
