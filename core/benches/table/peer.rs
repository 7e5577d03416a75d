//! The other side: Python processes that repeat a piece of work on request (`benches/peers`).

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::Outcome;

const VARIABLE: &str = "REGFLOW_PEERS_PYTHON";

/// A running peer; it ends with its standard input.
pub struct Peer {
    pub name: String,
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Greeting {
    Here {
        peer: String,
    },
    Missing {
        #[serde(rename = "missing")]
        _module: String,
    },
}

/// One turn of a peer.
#[derive(Deserialize)]
pub struct Answer {
    /// Median seconds of a call.
    pub seconds: f64,
    /// What the call returned.
    pub value: Option<f64>,
}

impl Peer {
    /// The peer `script` in the first Python of the variable that has its modules, if there is one.
    pub fn start(script: &str, arguments: &[&OsStr]) -> Outcome<Option<Peer>> {
        let Some(pythons) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        for python in std::env::split_paths(&pythons) {
            if let Some(peer) = Peer::start_in(&python, script, arguments)? {
                return Ok(Some(peer));
            }
        }
        Ok(None)
    }

    fn start_in(python: &Path, script: &str, arguments: &[&OsStr]) -> Outcome<Option<Peer>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(folder.join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{VARIABLE}: cannot start {}: {e}", python.display()))?;
        let requests = process.stdin.take();
        let answers = process.stdout.take().ok_or("a process without output")?;
        let mut peer = Peer {
            name: script.to_owned(),
            process,
            requests,
            answers: BufReader::new(answers),
        };
        Ok(match peer.answer()? {
            Greeting::Here { peer: name } => {
                peer.name = name;
                Some(peer)
            }
            Greeting::Missing { .. } => None,
        })
    }

    /// Repeats `work` for `time`, once at least.
    pub fn turn(&mut self, work: &str, time: Duration) -> Outcome<Answer> {
        if let Some(requests) = &mut self.requests {
            let request = json!({ "work": work, "seconds": time.as_secs_f64() });
            writeln!(requests, "{request}")?;
        }
        self.answer()
    }

    fn answer<T: for<'de> Deserialize<'de>>(&mut self) -> Outcome<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line)
            .map_err(|e| format!("{} answered {line:?}: {e}", self.name).into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.requests.take());
        // A peer that fails at its end has said so on standard error.
        let _ = self.process.wait();
    }
}
