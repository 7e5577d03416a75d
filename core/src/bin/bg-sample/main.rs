//! `bg-sample`: train Boltzmann generators on trajectories, sample from them, score frames.

mod config;
mod diagnostics;
mod energy;
mod evaluate;
mod figures;
mod inputs;
mod inspect;
mod plausible;
mod plugins;
mod process;
mod progress;
mod sample;
mod score;
mod scores;
mod stages;
mod train;
mod words;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Boltzmann generators for molecular dynamics: normalizing flows trained on trajectories.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, args_override_self = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(clap::Args)]
pub struct Common {
    /// TOML file with options of the subcommand: `steps = 3000`, `trajectory = ["a.dcd", "b.dcd"]`; the command line wins
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seed of everything random
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
    /// Where the flow runs: cpu, cuda:0, cuda:1, ...
    #[arg(long, global = true, default_value = "cpu")]
    device: String,
    /// Threads on the CPU; all cores without it
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// Arithmetic of the force field
    #[arg(long, global = true, default_value = "double")]
    precision: Precision,
    /// Print the figures as one JSON object on standard output, everything else on standard error
    #[arg(long, global = true)]
    json: bool,
}

/// Names of the force field's precisions.
#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    /// Double precision throughout
    Double,
    /// Pair terms in single precision: twice as fast, off by less than 1e-3 kJ/mol for peptides
    Mixed,
}

impl From<Precision> for regflow::energy::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Double => regflow::energy::Precision::Double,
            Precision::Mixed => regflow::energy::Precision::Mixed,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Arguments>),
    Sample(sample::Arguments),
    Score(score::Arguments),
    Evaluate(evaluate::Arguments),
    Energy(energy::Arguments),
    Plugins(plugins::Arguments),
    Inspect(inspect::Arguments),
}

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    process::prepare();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", words::message(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let arguments = config::merge(std::env::args_os().collect())?;
    let Arguments { common, command } = Arguments::parse_from(arguments);
    regflow::parallel::set_threads(common.threads.unwrap_or(0))?;
    match command {
        Command::Train(arguments) => train::run(&common, &arguments),
        Command::Sample(arguments) => sample::run(&common, &arguments),
        Command::Score(arguments) => score::run(&common, &arguments),
        Command::Evaluate(arguments) => evaluate::run(&common, &arguments),
        Command::Energy(arguments) => energy::run(&common, &arguments),
        Command::Plugins(arguments) => plugins::run(&common, &arguments),
        Command::Inspect(arguments) => inspect::run(&common, &arguments),
    }
}
