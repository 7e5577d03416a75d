use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use regflow::coordinates::FrameStore;
use regflow::evaluation::{self, BasinBox, Curve, Evaluation, Options, Reference};
use regflow::metric::Estimate;
use regflow::system::NpzReader;
use serde_json::{Map, json};

use crate::diagnostics::{self, Source};
use crate::figures::Figures;
use crate::inputs::{self, EnergyArgument, FrameRange, Refused};
use crate::plausible::Expected;
use crate::{Common, Outcome};

/// Compare a model, and its weighted samples, with a reference trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample evaluate --model model.safetensors --energy system.xml --reference trajectory.dcd --topology topology.pdb \\\n    \
    --basin left=phi-ALA2:0:180 --basin right=phi-ALA2:-180:0 --report report.html")]
pub struct Arguments {
    /// Model file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    energy: EnergyArgument,
    /// Trajectory files of equilibrium frames at the model's temperature, in the order of time
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    reference: Vec<PathBuf>,
    /// Structure file of the reference, to check or to select its atoms; the model knows its molecule
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    #[command(flatten)]
    frames: FrameRange,
    /// Tells which independent run each frame is of: integers `series` or `ladder`, and `time_ps` if there are times, one for each frame
    /// of the files. Each file is a run without it
    #[arg(long, value_name = "FILE.npz")]
    series: Option<PathBuf>,
    /// Configurations to draw
    #[arg(short, value_name = "N", default_value_t = Options::default().n)]
    n: usize,
    /// Most points on either side of an exact optimal transport; takes 4 N^2 bytes
    #[arg(long, value_name = "N", default_value_t = Options::default().points)]
    transport_points: usize,
    /// Lag of the time-lagged components, frames of the reference
    #[arg(long, value_name = "FRAMES", default_value_t = Options::default().lag)]
    lag: usize,
    /// Torsion to compare beside all phi and psi: four atom indices counted from 0, 0-4-6-8, or names, ACE1:CH3-ACE1:C-ALA2:N-ALA2:CA
    #[arg(long, value_name = "TORSION")]
    torsion: Vec<String>,
    /// Basin as a box in torsions, degrees: left=phi-ALA2:0:180,psi-ALA2:-60:120; alpha, beta and phi>0 of each residue without one
    #[arg(long, value_name = "NAME=TORSION:LOWER:UPPER,...")]
    basin: Vec<BasinBox>,
    /// Basins in a JSON file: [{"name": "left", "ranges": [{"torsion": "phi-ALA2", "lower": 0, "upper": 180}]}]
    #[arg(long, value_name = "FILE.json")]
    basins: Option<PathBuf>,
    /// Training curve; that beside the model without it
    #[arg(long, value_name = "FILE.csv")]
    curve: Option<PathBuf>,
    /// Report to write: one HTML file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let written: Vec<(&str, &Path)> = arguments
        .report
        .iter()
        .map(|report| ("--report", report.as_path()))
        .collect();
    let source = PathBuf::from(&arguments.energy.source);
    let read = arguments
        .reference
        .iter()
        .chain([&arguments.model, &source]);
    let read = read
        .chain(&arguments.topology)
        .chain(&arguments.series)
        .chain(&arguments.basins);
    inputs::keep(read.chain(&arguments.curve), &written)?;
    if let Some(path) = &arguments.report {
        inputs::output("--report", path)?;
    }
    let options = arguments.options(common)?;
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let structure = arguments.topology.as_deref();
    let selection = inputs::selected_atoms(model.topology(), structure, &arguments.frames)?;
    let expected = Expected {
        energy: Some(energy.as_ref()),
        temperature: Some(model.temperature()),
    };
    let (frames, lengths) = arguments.frames.store(
        &arguments.reference,
        model.topology(),
        selection,
        Some(expected),
    )?;
    let reference = match &arguments.series {
        None => Reference::from_runs(frames, &lengths)?,
        Some(path) => arguments.series(path, frames)?,
    };
    let (curve, curve_warning) = arguments.curve()?;

    let mut progress = Progress::new()?;
    let mut refused = Refused::new(Some(energy.as_ref()));
    let found = refused.during(|| {
        evaluation::evaluate(
            &model,
            energy.as_ref(),
            &reference,
            &options,
            &mut |what, fraction| progress.tell(what, fraction),
        )
    });
    progress.bar.finish_and_clear();
    let mut found = found?;
    found.curve = curve;
    found.warnings.extend(curve_warning);
    found.warnings.extend(refused.warning());
    found.title = format!("{}", arguments.model.display());
    found.settings.splice(0..0, arguments.files(common));

    let mut figures = Figures::default();
    add(&mut figures, &found);
    let mut outcome = Ok(());
    if let Some(path) = &arguments.report {
        let written = regflow::report::write(path, &found);
        outcome = written.map_err(|error| format!("the report is not written: {error}").into());
        if outcome.is_ok() {
            let path = path.display().to_string();
            figures.add("report", path.clone(), path);
        }
    }
    // The figures took the time: a page that cannot be written does not cost them.
    figures.print(common)?;
    outcome
}

impl Arguments {
    fn options(&self, common: &Common) -> Outcome<Options> {
        let mut basins = self.basin.clone();
        if let Some(path) = &self.basins {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("{}: cannot read the basins: {e}", path.display()))?;
            let read: Vec<BasinBox> = serde_json::from_str(&text).map_err(|e| {
                format!(
                    "{} is no list of basins, [{{\"name\": \"left\", \"ranges\": [{{\"torsion\": \"phi-ALA2\", \"lower\": 0, \"upper\": 180}}]}}]: {e}",
                    path.display()
                )
            })?;
            basins.extend(read);
        }
        Ok(Options {
            n: self.n,
            seed: common.seed,
            points: self.transport_points,
            lag: self.lag,
            torsions: self.torsion.clone(),
            basins,
        })
    }

    /// The reference as runs, by the entries for the frames that were read.
    fn series(&self, path: &Path, frames: FrameStore) -> Outcome<Reference> {
        let mut file = NpzReader::open(path)?;
        let names = file.names();
        let has = |name: &str| names.iter().any(|found| found == name);
        let name = if has("ladder") && !has("series") {
            "ladder"
        } else {
            "series"
        };
        // Of any type that tells whole numbers apart.
        let all = match file.u64(name) {
            Ok(runs) => runs.data,
            Err(_) => {
                let runs = file.f64(name)?.data.into_iter();
                let whole: Outcome<Vec<u64>> = runs.map(|run| whole(path, name, run)).collect();
                whole?
            }
        };
        let runs = pick(all, &self.frames);
        let times = match has("time_ps") {
            true => Some(pick(file.f64("time_ps")?.data, &self.frames)),
            false => None,
        };
        Reference::from_series(frames, &runs, times.as_deref())
            .map_err(|e| format!("{}: {e}", path.display()).into())
    }

    /// The training curve, if there is one, and what is wrong with one that nobody asked for.
    fn curve(&self) -> Outcome<(Option<Curve>, Option<String>)> {
        if let Some(path) = &self.curve {
            return Ok((Some(Curve::read(path)?), None));
        }
        let path = self.model.with_extension("csv");
        if !path.exists() {
            return Ok((None, None));
        }
        Ok(match Curve::read(&path) {
            Ok(curve) => (Some(curve), None),
            Err(error) => (None, Some(format!("no training curve: {error}"))),
        })
    }

    /// What was read.
    fn files(&self, common: &Common) -> Vec<(String, String)> {
        let names: Vec<String> = self
            .reference
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        let mut files = vec![
            ("model".to_owned(), self.model.display().to_string()),
            ("potential".to_owned(), self.energy.source.clone()),
            ("reference".to_owned(), names.join(" ")),
            ("device".to_owned(), common.device.clone()),
        ];
        if let Some(path) = &self.series {
            files.push((
                "runs of the reference".to_owned(),
                path.display().to_string(),
            ));
        }
        files
    }
}

/// The number of a run, which may be negative.
fn whole(path: &Path, name: &str, run: f64) -> Outcome<u64> {
    /// Beyond, doubles do not tell whole numbers apart.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match run.fract() == 0.0 && run.abs() <= MOST {
        true => Ok(run as i64 as u64),
        false => Err(format!(
            "{}, array '{name}': {run} is no number of a run, expected integers",
            path.display()
        )
        .into()),
    }
}

/// The entries of the frames that were read.
fn pick<T>(values: Vec<T>, frames: &FrameRange) -> Vec<T> {
    let end = frames.stop.unwrap_or(values.len());
    let range = values.into_iter().take(end).skip(frames.start);
    range.step_by(frames.stride).collect()
}

/// Says what is being done.
struct Progress {
    bar: ProgressBar,
    start: Instant,
    last: String,
}

impl Progress {
    fn new() -> Outcome<Self> {
        let bar = ProgressBar::new(100);
        bar.set_style(ProgressStyle::with_template("{bar:30} [{elapsed}] {msg}")?);
        Ok(Progress {
            bar,
            start: Instant::now(),
            last: String::new(),
        })
    }

    fn tell(&mut self, what: &str, fraction: f64) {
        self.bar.set_position((100.0 * fraction) as u64);
        if what == self.last {
            return;
        }
        self.last = what.to_owned();
        self.bar.set_message(self.last.clone());
        if self.bar.is_hidden() {
            eprintln!("{:5.1} s  {what}", self.start.elapsed().as_secs_f64());
        }
    }
}

/// Adds everything that fits a table.
fn add(figures: &mut Figures, found: &Evaluation) {
    diagnostics::add(figures, &found.diagnostics, Source::Proposal);
    let consistency = &found.consistency;
    figures.add(
        "log_q_difference",
        json!(consistency),
        format!(
            "{:.1e} between the two directions of the flow (90 % of its samples; median {:.1e}, largest {:.1e})",
            consistency.error, consistency.median, consistency.largest
        ),
    );
    for metric in &found.metrics {
        let space = if metric.unit.is_empty() { "" } else { " " };
        figures.add(
            metric.key,
            json!({ "proposal": metric.proposal, "reweighted": metric.reweighted, "floor": metric.floor }),
            format!(
                "{} proposal {}, reweighted {}, halves of the reference {}{space}{}",
                metric.label,
                text(Some(metric.proposal)),
                text(metric.reweighted),
                text(metric.floor),
                metric.unit
            ),
        );
    }
    let rows = found.basins.iter().map(|row| Row {
        name: row.name.clone(),
        reference: row.reference,
        proposal: row.proposal,
        reweighted: row.reweighted,
    });
    add_rows(figures, "populations", "", rows);
    let rows = found.free_energy_differences.iter().map(|row| Row {
        name: format!("{} to {}", row.from, row.to),
        reference: row.reference,
        proposal: row.proposal,
        reweighted: row.reweighted,
    });
    add_rows(figures, "free_energy_differences", " kJ/mol", rows);
    for warning in &found.warnings {
        figures.warn(warning);
    }
}

struct Row {
    name: String,
    reference: Estimate,
    proposal: Estimate,
    reweighted: Option<Estimate>,
}

fn add_rows(figures: &mut Figures, key: &'static str, unit: &str, rows: impl Iterator<Item = Row>) {
    let mut object = Map::new();
    let mut lines = String::new();
    for row in rows {
        lines += &format!(
            "\n  {}: reference {}, proposal {}, reweighted {}{unit}",
            row.name,
            text(Some(row.reference)),
            text(Some(row.proposal)),
            text(row.reweighted)
        );
        let Row {
            name,
            reference,
            proposal,
            reweighted,
        } = row;
        let value =
            json!({ "reference": reference, "proposal": proposal, "reweighted": reweighted });
        object.insert(name, value);
    }
    if !object.is_empty() {
        figures.add(key, object, lines);
    }
}

fn text(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "-".to_owned(), |found| found.to_string())
}
