//! Which features condition and which are transformed, from coupling to coupling.

use crate::error::{Error, Result};
use crate::parameters::ParameterBuilder;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Far more than any flow has; the number comes from files, which may be damaged.
const MOST_COUPLINGS: usize = 4096;

/// How features are divided between couplings.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Masks {
    /// Every other feature, exchanged from coupling to coupling.
    #[default]
    Alternating,
    /// A random half for every pair of couplings, exchanged within the pair.
    Random,
}

/// Settings of a [`Partition`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskConfig {
    /// Number of couplings.
    pub couplings: usize,
    /// How features are divided.
    pub masks: Masks,
    /// Whether a fixed random permutation of the features (within their group) follows every pair of couplings.
    pub permutations: bool,
    /// Seed of random masks and permutations.
    pub seed: u64,
}

/// The two parts of one group of features `[B, n]` at one coupling; `None` where a part has no column.
pub struct Halves {
    /// What the other part is conditioned on.
    pub conditioner: Option<Tensor>,
    /// What the coupling transforms.
    pub transformed: Option<Tensor>,
}

#[derive(Clone, PartialEq, Debug)]
struct Split {
    conditioner: Vec<u32>,
    transformed: Vec<u32>,
}

impl Split {
    fn columns(&self) -> Vec<u32> {
        [self.conditioner.as_slice(), &self.transformed].concat()
    }
}

/// From the parts of one coupling to those of the next.
enum Route {
    Swap,
    Select(Selection),
}

struct Selection {
    conditioner: Option<Tensor>,
    transformed: Option<Tensor>,
}

impl Selection {
    /// Picks the parts of `to` out of columns that lie in the order `from`.
    fn new(parameters: &ParameterBuilder<'_>, from: &[u32], to: &Split) -> Result<Self> {
        Ok(Selection {
            conditioner: index(parameters, from, &to.conditioner)?,
            transformed: index(parameters, from, &to.transformed)?,
        })
    }

    fn apply(&self, x: &Tensor) -> Result<Halves> {
        let pick = |index: &Option<Tensor>| {
            index
                .as_ref()
                .map(|index| x.index_select(index, 1))
                .transpose()
        };
        Ok(Halves {
            conditioner: pick(&self.conditioner)?,
            transformed: pick(&self.transformed)?,
        })
    }
}

/// Positions in `from` of the columns `to`; `None` if there are none.
fn index(parameters: &ParameterBuilder<'_>, from: &[u32], to: &[u32]) -> Result<Option<Tensor>> {
    let mut position = vec![
        0u32;
        from.iter()
            .map(|&column| column as usize + 1)
            .max()
            .unwrap_or(0)
    ];
    for (place, &column) in (0u32..).zip(from) {
        position[column as usize] = place;
    }
    let positions: Vec<u32> = to.iter().map(|&column| position[column as usize]).collect();
    match positions.len() {
        0 => Ok(None),
        n => parameters.constant_u32(&positions, &[n]).map(Some),
    }
}

struct Group {
    enter: [Selection; 2],
    /// To the next coupling.
    onward: Vec<Route>,
    /// From each coupling but the first to the one before.
    back: Vec<Route>,
}

/// The division of features into halves at every coupling, for one or more groups of features (such as real and circular
/// ones), each divided on its own. Features only move in memory where a new division needs it.
pub struct Partition {
    groups: Vec<Group>,
    leave: [Tensor; 2],
    sizes: Vec<Vec<(usize, usize)>>,
}

impl Partition {
    /// Divides `groups`, lists of columns that together are `0..D`.
    ///
    /// # Errors
    /// Fewer than two features, no coupling, or more than 4096.
    pub fn new(
        parameters: &ParameterBuilder<'_>,
        groups: &[Vec<u32>],
        config: &MaskConfig,
    ) -> Result<Self> {
        let n_features: usize = groups.iter().map(Vec::len).sum();
        if n_features < 2 {
            return Err(Error::Features(format!(
                "a coupling flow needs at least 2 features, found {n_features}"
            )));
        }
        if !(1..=MOST_COUPLINGS).contains(&config.couplings) {
            return Err(Error::ConfigValue {
                field: "couplings",
                expected: "1 to 4096",
                found: config.couplings.to_string(),
            });
        }
        let mut output: Vec<u32> = (0..n_features as u32).collect();
        let mut splits = Vec::new();
        let mut offset = 0;
        for (number, columns) in groups.iter().enumerate() {
            let (group, placed) = divide(columns, offset, number as u64, config);
            for (&place, &column) in columns.iter().zip(&placed) {
                output[place as usize] = column;
            }
            offset += columns.len();
            splits.push(group);
        }
        let identity: Vec<u32> = (0..n_features as u32).collect();
        let last = config.couplings - 1;
        let order = |at: usize| {
            splits
                .iter()
                .flat_map(|group| group[at].columns())
                .collect::<Vec<u32>>()
        };
        let leave = |at: usize, to: &[u32]| {
            index(parameters, &order(at), to)?.ok_or_else(|| Error::Features("no features".into()))
        };
        Ok(Partition {
            leave: [leave(last, &output)?, leave(0, &identity)?],
            sizes: splits
                .iter()
                .map(|group| {
                    group
                        .iter()
                        .map(|s| (s.conditioner.len(), s.transformed.len()))
                        .collect()
                })
                .collect(),
            groups: splits
                .iter()
                .map(|group| {
                    let route = |from: &Split, to: &Split| {
                        if from.conditioner == to.transformed && from.transformed == to.conditioner
                        {
                            return Ok(Route::Swap);
                        }
                        Selection::new(parameters, &from.columns(), to).map(Route::Select)
                    };
                    Ok(Group {
                        enter: [
                            Selection::new(parameters, &identity, &group[0])?,
                            Selection::new(parameters, &output, &group[last])?,
                        ],
                        onward: group
                            .windows(2)
                            .map(|w| route(&w[0], &w[1]))
                            .collect::<Result<_>>()?,
                        back: group
                            .windows(2)
                            .map(|w| route(&w[1], &w[0]))
                            .collect::<Result<_>>()?,
                    })
                })
                .collect::<Result<_>>()?,
        })
    }

    /// Numbers of conditioning and transformed columns of a group at a coupling.
    pub fn sizes(&self, group: usize, coupling: usize) -> (usize, usize) {
        self.sizes[group][coupling]
    }

    /// Takes x `[B, D]` through all couplings, in reverse order if `inverse`. `coupling(k, halves)` replaces the
    /// `transformed` parts of coupling k (one [`Halves`] per group).
    ///
    /// # Errors
    /// Those of `coupling`; x of another shape.
    pub fn sweep(
        &self,
        x: &Tensor,
        inverse: bool,
        mut coupling: impl FnMut(usize, &mut [Halves]) -> Result<()>,
    ) -> Result<Tensor> {
        let direction = usize::from(inverse);
        let n_couplings = self.sizes[0].len();
        let mut halves = self
            .groups
            .iter()
            .map(|group| group.enter[direction].apply(x))
            .collect::<Result<Vec<_>>>()?;
        for step in 0..n_couplings {
            let at = if inverse {
                n_couplings - 1 - step
            } else {
                step
            };
            if step > 0 {
                for (group, halves) in self.groups.iter().zip(&mut halves) {
                    let route = if inverse {
                        &group.back[at]
                    } else {
                        &group.onward[at - 1]
                    };
                    route.follow(halves)?;
                }
            }
            coupling(at, &mut halves)?;
        }
        join(&halves)?.index_select(&self.leave[direction], 1)
    }
}

impl Route {
    fn follow(&self, halves: &mut Halves) -> Result<()> {
        match self {
            Route::Swap => std::mem::swap(&mut halves.conditioner, &mut halves.transformed),
            Route::Select(selection)
                if halves.conditioner.is_some() || halves.transformed.is_some() =>
            {
                *halves = selection.apply(&join(std::slice::from_ref(halves))?)?;
            }
            Route::Select(_) => {}
        }
        Ok(())
    }
}

fn join(halves: &[Halves]) -> Result<Tensor> {
    let parts: Vec<&Tensor> = halves
        .iter()
        .flat_map(|half| [&half.conditioner, &half.transformed])
        .flatten()
        .collect();
    match parts.as_slice() {
        [single] => Ok((*single).clone()),
        parts => Tensor::cat(parts, 1),
    }
}

/// The splits of one group at every coupling, in terms of the columns at the start, and which of these columns lies in each
/// of the group's places at the end. Where a group has an odd number of columns, whether the first half gets one more
/// depends on `offset`, so that over all groups both halves are never empty.
fn divide(
    columns: &[u32],
    offset: usize,
    group: u64,
    config: &MaskConfig,
) -> (Vec<Split>, Vec<u32>) {
    let mut placed = columns.to_vec();
    let mut splits: Vec<Split> = Vec::with_capacity(config.couplings);
    for coupling in 0..config.couplings {
        if let (1, Some(previous)) = (coupling % 2, splits.last()) {
            splits.push(Split {
                conditioner: previous.transformed.clone(),
                transformed: previous.conditioner.clone(),
            });
            continue;
        }
        let mut random = SplitMix(config.seed ^ (group << 32) ^ ((coupling as u64) << 40));
        if config.permutations && coupling > 0 {
            random.shuffle(&mut placed);
        }
        let mut order: Vec<usize> = (0..placed.len()).collect();
        if config.masks == Masks::Random {
            random.shuffle(&mut order);
        }
        let mut split = Split {
            conditioner: Vec::new(),
            transformed: Vec::new(),
        };
        let mut members: Vec<(usize, bool)> = order
            .iter()
            .enumerate()
            .map(|(rank, &place)| (place, (rank + offset).is_multiple_of(2)))
            .collect();
        members.sort_unstable();
        for (place, conditions) in members {
            let half = if conditions {
                &mut split.conditioner
            } else {
                &mut split.transformed
            };
            half.push(placed[place]);
        }
        splits.push(split);
    }
    (splits, placed)
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): masks must not depend on the version of a library.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher-Yates; the bias of the remainder is below 2^-50 for any number of features.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = (self.next() % (last as u64 + 1)) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(masks: Masks, permutations: bool) -> MaskConfig {
        MaskConfig {
            couplings: 6,
            masks,
            permutations,
            seed: 3,
        }
    }

    #[test]
    fn every_feature_conditions_and_is_transformed() {
        let groups: [Vec<u32>; 2] = [vec![0, 2, 3, 5, 7], vec![1, 4, 6]];
        for masks in [Masks::Alternating, Masks::Random] {
            for permutations in [false, true] {
                let mut offset = 0;
                for (number, columns) in groups.iter().enumerate() {
                    let (splits, placed) =
                        divide(columns, offset, number as u64, &config(masks, permutations));
                    offset += columns.len();
                    for pair in splits.chunks(2) {
                        let mut all = pair[0].columns();
                        all.sort_unstable();
                        assert_eq!(&all, columns);
                        assert_eq!(pair[0].conditioner, pair[1].transformed);
                        assert_eq!(pair[0].transformed, pair[1].conditioner);
                        assert!(
                            pair[0]
                                .conditioner
                                .len()
                                .abs_diff(pair[0].transformed.len())
                                <= 1
                        );
                    }
                    let mut sorted = placed.clone();
                    sorted.sort_unstable();
                    assert_eq!(&sorted, columns);
                    assert_eq!(placed != *columns, permutations);
                }
            }
        }
    }

    #[test]
    fn one_feature_of_each_kind_lands_in_different_halves() {
        for masks in [Masks::Alternating, Masks::Random] {
            let (first, _) = divide(&[0], 0, 0, &config(masks, false));
            let (second, _) = divide(&[1], 1, 1, &config(masks, false));
            for (a, b) in first.iter().zip(&second) {
                assert_eq!(a.conditioner.len() + b.conditioner.len(), 1);
            }
        }
    }
}
