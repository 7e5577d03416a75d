//! Points of one step, whatever the objective needs to know of each.

use std::ops::Range;

/// Rows of a step: columns of numbers whose meaning is their objective's.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Batch {
    rows: usize,
    columns: Vec<Vec<f32>>,
    /// Rows taken from the endless sequence of frames or pairs.
    pub taken: usize,
    /// What of the loss is a matter of the rows alone and not of the model: divergence is told from the rest.
    pub floor: f64,
}

impl Batch {
    /// `rows` rows, each column with as many numbers for one as for another.
    pub fn new(rows: usize, columns: Vec<Vec<f32>>) -> Self {
        debug_assert!(columns.iter().all(|c| c.len().is_multiple_of(rows.max(1))));
        Batch {
            rows,
            columns,
            taken: 0,
            floor: 0.0,
        }
    }

    /// The same with the rows that it took from the endless sequence.
    pub fn taking(self, taken: usize) -> Self {
        Batch { taken, ..self }
    }

    /// The same with what of its loss is a matter of the rows.
    pub fn with_floor(self, floor: f64) -> Self {
        Batch { floor, ..self }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Some of the rows.
    pub fn rows(&self, range: Range<usize>) -> Rows<'_> {
        let part = |column: &'_ Vec<f32>| {
            let width = column.len() / self.rows.max(1);
            range.start * width..range.end * width
        };
        Rows {
            columns: self.columns.iter().map(|c| &c[part(c)]).collect(),
        }
    }
}

/// Some rows of a [`Batch`].
pub(in crate::train) struct Rows<'a> {
    columns: Vec<&'a [f32]>,
}

impl<'a> Rows<'a> {
    /// The numbers of a column.
    pub fn column(&self, index: usize) -> &'a [f32] {
        self.columns[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_batch_stay_together() {
        let batch = Batch::new(2, vec![vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]]);
        let rows = batch.rows(1..2);
        assert_eq!(
            (rows.column(0), rows.column(1)),
            (&[3.0, 4.0][..], &[6.0][..])
        );
    }
}
