//! OpenMM with the plug-in of `examples/openmm`: compiled as its README says, run, and what it printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use regflow_tests::{engines, root, run};

/// Python of the engines' environment, and the plug-in compiled for its OpenMM.
pub struct OpenMm {
    python: PathBuf,
    /// Where the plug-in, the example program and the Systems are.
    folder: PathBuf,
}

/// The engine; none where it cannot be installed, whose reason was printed.
pub fn openmm() -> Option<&'static OpenMm> {
    static OPENMM: LazyLock<Option<OpenMm>> = LazyLock::new(|| engines().map(OpenMm::new));
    OPENMM.as_ref()
}

/// What the example program printed.
pub struct Run {
    /// `[frames, torsions]`, rad.
    pub torsions: Vec<f64>,
    /// Potential energies, `[frames]`, kJ/mol.
    pub energies: Vec<f64>,
    pub steps: f64,
    /// Processor time: other work on the machine does not count.
    pub seconds: f64,
    /// Accepted moves over all; NaN without moves.
    pub acceptance: f64,
}

impl Run {
    pub fn steps_per_second(&self) -> f64 {
        self.steps / self.seconds
    }
}

impl OpenMm {
    fn new(environment: PathBuf) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openmm");
        let prefix = folder.join("regflow");
        let python = environment.join("bin/python");
        run(Command::new("make")
            .args(["--no-print-directory", "install"])
            .arg(format!("PREFIX={}", prefix.display()))
            .current_dir(root()));
        run(Command::new("make")
            .args(["--no-print-directory", "-j2", "-C"])
            .arg(root().join("examples/openmm"))
            .arg(format!("PYTHON={}", python.display()))
            .arg(format!("REGFLOW={}", prefix.display()))
            .arg(format!("OUT={}", folder.display()))
            .env("CONDA_PREFIX", "/nowhere"));
        let engine = OpenMm { python, folder };
        let mut systems = engine.python("tests/openmm/systems.py");
        run(systems.arg(&engine.folder));
        engine
    }

    /// A file of the Systems that `tests/openmm/systems.py` wrote.
    pub fn file(&self, name: &str) -> String {
        text(&self.folder.join(name))
    }

    /// A Python script of the repository, which can import the plug-in.
    pub fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command
            .arg(root().join(script))
            .env("REGFLOW_OPENMM", self.folder.join("libRegFlowOpenMM.so"))
            .env("PYTHONPATH", root().join("examples/openmm"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs the example program.
    pub fn simulate(&self, arguments: &[&str]) -> Run {
        read(run(
            Command::new(self.folder.join("simulate")).args(arguments)
        ))
    }

    /// Runs the example in Python.
    pub fn simulate_in_python(&self, arguments: &[&str]) -> Run {
        read(run(self
            .python("examples/openmm/simulate.py")
            .args(arguments)))
    }
}

fn read(output: Output) -> Run {
    let mut printed = Run {
        torsions: Vec::new(),
        energies: Vec::new(),
        steps: 0.0,
        seconds: 0.0,
        acceptance: f64::NAN,
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut numbers: Vec<f64> = line.split(' ').map(number).collect();
        printed.energies.extend(numbers.pop());
        printed
            .torsions
            .extend(numbers.iter().map(|degrees| degrees.to_radians()));
    }
    // "100000 steps, 25000 steps/s, 4.012 s of processor time, attempts 200, accepted 170"
    let summary = String::from_utf8_lossy(&output.stderr).replace(',', "");
    let words: Vec<&str> = summary.split_whitespace().collect();
    let before = |unit| {
        words
            .iter()
            .position(|&word| word == unit)
            .map(|at| number(words[at - 1]))
    };
    let after = |name| {
        words
            .iter()
            .position(|&word| word == name)
            .map(|at| number(words[at + 1]))
    };
    printed.steps = before("steps").expect("the number of steps");
    printed.seconds = before("s").expect("processor time");
    if let (Some(attempts), Some(accepted)) = (after("attempts"), after("accepted")) {
        printed.acceptance = accepted / attempts;
    }
    printed
}

fn number(word: &str) -> f64 {
    word.parse()
        .unwrap_or_else(|_| panic!("expected a number, found {word}"))
}

/// A path as a word of a command line.
pub fn text(path: &Path) -> String {
    path.to_str().expect("test paths are UTF-8").to_owned()
}
