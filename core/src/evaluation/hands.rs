//! Handedness: a flow may turn residues into their mirror images; and a reference may have both hands itself.

/// Share of frames from which on another hand is no slip.
const NOTICED: f64 = 1e-3;
/// Standard errors from which on a difference of shares is not put down to chance.
const SIGNIFICANT: f64 = 3.0;

/// What the numbers of D residues show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Hands {
    /// Share of the configurations drawn with another number of D residues than most frames of the reference; 0 where the
    /// reference has as many such frames.
    pub inverted: f64,
    /// What those have more of, and in whose place, in words: "D instead of L".
    pub turned: &'static str,
    /// Share of the reference's frames with more D residues than its others, if it has both hands.
    pub mixed: Option<f64>,
}

/// Compares numbers of D residues, one for each configuration.
pub(super) fn compare(reference: &[u16], proposal: &[u16]) -> Hands {
    let mut sorted = reference.to_vec();
    sorted.sort_unstable();
    let Some(&usual) = sorted.get(sorted.len() / 2) else {
        return Hands {
            inverted: 0.0,
            turned: "",
            mixed: None,
        };
    };
    let share = |counts: &[u16]| {
        let others = counts.iter().filter(|&&count| count != usual).count();
        others as f64 / counts.len().max(1) as f64
    };
    let (expected, found) = (share(reference), share(proposal));
    let variance = |share: f64, n: usize| share * (1.0 - share) / n.max(1) as f64;
    let error = (variance(expected, reference.len()) + variance(found, proposal.len())).sqrt();
    let is_mixed = expected >= NOTICED;
    let as_expected = is_mixed && found - expected <= SIGNIFICANT * error;
    let (to_d, to_l) = (
        proposal.iter().any(|&count| count > usual),
        proposal.iter().any(|&count| count < usual),
    );
    let more = sorted.iter().filter(|count| **count > sorted[0]).count();
    Hands {
        inverted: if as_expected { 0.0 } else { found },
        turned: match (to_d, to_l) {
            (true, true) => "D instead of L, or L instead of D",
            (false, true) => "L instead of D",
            (true, false) => "D instead of L",
            (false, false) => "",
        },
        mixed: is_mixed.then_some(more as f64 / sorted.len() as f64),
    }
}

impl Hands {
    /// The warning of a reference with both hands.
    pub fn describe(&self) -> Option<String> {
        self.mixed.map(|share| {
            format!(
                "the frames of the reference have both hands: {:.1} % of them have more D residues than the others, which dynamics \
                 does not turn into each other; are some of the frames mirror images, or of another molecule?",
                100.0 * share
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `d` of `n` configurations with one D residue.
    fn counts(n: usize, d: usize) -> Vec<u16> {
        (0..n).map(|i| u16::from(i < d)).collect()
    }

    #[test]
    fn a_flow_is_judged_by_what_the_reference_has() {
        // An L reference: every D counts.
        let hands = compare(&counts(1000, 0), &counts(2000, 250));
        assert_eq!(
            hands,
            Hands {
                inverted: 0.125,
                turned: "D instead of L",
                mixed: None
            }
        );
        // Half of each hand, and samples alike: no fault of the samples.
        let hands = compare(&counts(1000, 500), &counts(2000, 1020));
        assert_eq!(
            hands,
            Hands {
                inverted: 0.0,
                turned: "L instead of D",
                mixed: Some(0.5)
            }
        );
        assert!(hands.describe().unwrap().contains("both hands: 50.0 %"));
        // Few in the reference, many among the samples.
        let hands = compare(&counts(1000, 50), &counts(2000, 1000));
        assert_eq!(
            hands,
            Hands {
                inverted: 0.5,
                turned: "D instead of L",
                mixed: Some(0.05)
            }
        );
        // One residue of two is D; the samples have none or two.
        assert_eq!(
            compare(&[1; 9], &[0, 1, 2]).turned,
            "D instead of L, or L instead of D"
        );
        // A peptide of D residues only.
        let hands = compare(&[1; 1000], &counts(1000, 900));
        assert_eq!(
            hands,
            Hands {
                inverted: 0.1,
                turned: "L instead of D",
                mixed: None
            }
        );
    }
}
