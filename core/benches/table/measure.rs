//! Timing in turns, and the rows of the table.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::peer::Peer;

/// How long one side works before the other has its turn.
pub const TURN: Duration = Duration::from_millis(300);
/// Time for a row after which no further round begins, beyond the first three.
const ROW: Duration = Duration::from_secs(40);

/// Median and quartiles.
pub struct Spread {
    quartiles: [f64; 3],
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (values.len() - 1) as f64;
            let (low, high) = (values[place as usize], values[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        Spread {
            quartiles: [at(0.25), at(0.5), at(0.75)],
        }
    }

    pub fn median(&self) -> f64 {
        self.quartiles[1]
    }
}

/// Seconds, in units that leave one to three digits before the point.
struct Seconds<'a>(&'a Spread);

impl fmt::Display for Seconds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (factor, unit) = match self.0.median() {
            t if t >= 1.0 => (1.0, "s"),
            t if t >= 1e-3 => (1e3, "ms"),
            t if t >= 1e-6 => (1e6, "us"),
            _ => (1e9, "ns"),
        };
        let [low, median, high] = self.0.quartiles.map(|value| three_digits(value * factor));
        write!(f, "{median} [{low}, {high}] {unit}")
    }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Median seconds of calls repeated for [`TURN`].
pub fn median_of_calls(mut call: impl FnMut() -> Outcome) -> Outcome<f64> {
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || begin.elapsed() < TURN {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// What a row is compared with.
pub enum Rival<'a> {
    /// The process, the name of the work there, and how many of our units one call does.
    Peer(&'a mut Peer, &'a str, f64),
    /// Another way to do the same in this process, measured as ours is.
    #[allow(dead_code, reason = "of the table of moves")]
    Other(&'a mut dyn FnMut() -> Outcome<f64>),
    NotInstalled,
    None,
}

impl<'a> Rival<'a> {
    pub fn of(peer: &'a mut Option<Peer>, work: &'a str, units: f64) -> Self {
        match peer {
            Some(peer) => Rival::Peer(peer, work, units),
            None => Rival::NotInstalled,
        }
    }
}

/// What is printed at the end of a row, from the median of our seconds.
pub type Remark<'a> = &'a dyn Fn(f64) -> String;

pub struct Table {
    rounds: usize,
    wanted: Vec<String>,
}

impl Table {
    pub fn new(arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut table = Table {
            rounds: 9,
            wanted: Vec::new(),
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            if argument == "--rounds" {
                let rounds = arguments.next().and_then(|n| n.parse().ok());
                table.rounds = rounds
                    .filter(|&n| n > 0)
                    .ok_or("--rounds: expected a number of rounds, 1 or more")?;
            } else {
                table.wanted.push(argument);
            }
        }
        println!(
            "{} threads; median [quartiles] of {} alternating rounds",
            rayon::current_num_threads(),
            table.rounds
        );
        println!(
            "{:<44}{:>26}{:>26}{:>22}  remark",
            "", "RegFlow", "peer", "peer / RegFlow"
        );
        Ok(table)
    }

    /// Whether a row of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| name.contains(part))
    }

    /// Measures and prints a row; `turn` gives our median seconds per unit over one turn. Returns the median.
    pub fn row(
        &mut self,
        name: &str,
        mut turn: impl FnMut() -> Outcome<f64>,
        mut rival: Rival,
        remark: Remark,
    ) -> Outcome<f64> {
        turn()?;
        match &mut rival {
            Rival::Peer(peer, work, _) => {
                peer.turn(work, Duration::ZERO)?;
            }
            Rival::Other(turn) => {
                turn()?;
            }
            Rival::NotInstalled | Rival::None => {}
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let begin = Instant::now();
        for round in 0..self.rounds {
            if round >= 3 && begin.elapsed() > ROW {
                break;
            }
            // Who comes first changes, so that a drift of the machine's speed favours neither.
            for ours_next in [round % 2 == 0, round % 2 == 1] {
                if ours_next {
                    ours.push(turn()?);
                    continue;
                }
                match &mut rival {
                    Rival::Peer(peer, work, units) => {
                        theirs.push(peer.turn(work, TURN)?.seconds / *units);
                    }
                    Rival::Other(turn) => theirs.push(turn()?),
                    Rival::NotInstalled | Rival::None => {}
                }
            }
        }
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| b / a).collect();
        let ours = Spread::of(ours);
        let (their_time, ratio) = match &rival {
            Rival::Peer(..) | Rival::Other(_) => {
                let [low, median, high] = Spread::of(ratios).quartiles.map(three_digits);
                (
                    Seconds(&Spread::of(theirs)).to_string(),
                    format!("{median} [{low}, {high}]"),
                )
            }
            Rival::NotInstalled => ("not installed".into(), String::new()),
            Rival::None => (String::new(), String::new()),
        };
        let (our_time, remark) = (Seconds(&ours).to_string(), remark(ours.median()));
        println!("{name:<44}{our_time:>26}{their_time:>26}{ratio:>22}  {remark}");
        Ok(ours.median())
    }
}
