//! One table of speeds: energies, optimal transport, generation, likelihood, training steps, calls of plugins; each beside
//! what a user would run instead, where that is installed.
//!
//!     cargo bench -p regflow --bench table [-- [--rounds N] [PART OF A ROW'S NAME]...]
//!
//! `REGFLOW_PEERS_PYTHON` names a Python with the peers (torch, nflows, openmm, POT), or several, separated as in `PATH`: each
//! peer runs in the first that has it. Ours and the peer's calls alternate, so that other work on the machine meets both
//! alike. The ratio is that of the medians within a round; printed are median and quartiles over the rounds.
//! `RAYON_NUM_THREADS` and `OMP_NUM_THREADS` set the threads of the two sides.

mod energies;
mod flows;
mod interface;
mod measure;
mod peer;
#[path = "../../src/bin/bg-sample/process.rs"]
mod process;
mod transport;

use std::error::Error;

use measure::Table;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    process::prepare();
    regflow::parallel::start()?;
    let mut table = Table::new(std::env::args().skip(1))?;
    flows::rows(&mut table)?;
    energies::rows(&mut table)?;
    transport::rows(&mut table)?;
    interface::rows(&mut table)
}
