//! Pairs given by the user.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use super::{PairRows, PairsError};
use crate::system::NpzReader;
use crate::system::tensor_file::{f32s, f64s};

/// Reads the arrays `x0` and `x1`, both `[n, D]` with `D = dimension`, and where they are there `log_q` and `log_det`, both
/// `[n]` (see [`PairRows`]), from an `.npz` (f32 or f64) or `.safetensors` (F32 or F64) file.
///
/// # Errors
/// No such file or arrays, other shapes or types, no pairs at all, values that are not finite.
pub(super) fn read(path: &Path, dimension: usize) -> Result<PairRows, PairsError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let mut arrays = match extension {
        "npz" => read_npz(path)?,
        "safetensors" => read_safetensors(path)?,
        _ => {
            return Err(PairsError::GivenFormat {
                path: path.to_owned(),
            });
        }
    };
    let wrong = |name, expected: String, found: String| PairsError::GivenArray {
        path: path.to_owned(),
        name,
        expected,
        found,
    };
    let mut n = 0;
    for (name, array) in NAMES.iter().zip(&arrays) {
        let Some((shape, values)) = array else {
            continue;
        };
        let (expected, fits) = match *name {
            "x0" => {
                n = shape.first().copied().unwrap_or(0);
                let expected =
                    format!("[n, {dimension}] with n > 0, as many as the model has features");
                (expected, n > 0 && *shape == [n, dimension])
            }
            "x1" => (
                format!("{:?} as of x0", [n, dimension]),
                *shape == [n, dimension],
            ),
            _ => (format!("[{n}], one number for each pair"), *shape == [n]),
        };
        if !fits {
            return Err(wrong(
                name,
                format!("shape {expected}"),
                format!("{shape:?}"),
            ));
        }
        // Points are kept in single precision, densities are not.
        let fits = |value: f64| match shape.len() {
            1 => value.is_finite(),
            _ => (value as f32).is_finite(),
        };
        if let Some(bad) = values.iter().position(|&value| !fits(value)) {
            let found = match shape.len() {
                1 => format!("{} in row {bad}", values[bad]),
                _ => {
                    let (row, column) = (bad / dimension, bad % dimension);
                    format!("{} in row {row}, column {column}", values[bad])
                }
            };
            let expected = "finite numbers that single precision can hold";
            return Err(wrong(name, expected.into(), found));
        }
    }
    let mut take = |place: usize| arrays[place].take().map(|(_, values)| values);
    let points = |values: Option<Vec<f64>>| {
        let values = values.into_iter().flatten();
        values.map(|value| value as f32).collect()
    };
    Ok(PairRows {
        x0: points(take(0)),
        x1: points(take(1)),
        log_q: take(2),
        log_det: take(3),
    })
}

/// Most contiguous blocks that the pairs are divided into.
const BLOCKS: u64 = 100;

/// Divides the pairs into training and held-out ones. One of every `interval` contiguous blocks is held out: data points may be frames
/// in the order of time, so that single ones would be known from their neighbours.
pub(super) fn split(given: &PairRows, dimension: usize, interval: u64) -> (PairRows, PairRows) {
    let n = (given.x0.len() / dimension) as u32;
    let blocks = BLOCKS.min(u64::from(n));
    let block = |row: u32| u64::from(row) * blocks / u64::from(n);
    let is_held_out = |row: &u32| block(*row) % interval == interval / 2;
    let (held_out, training): (Vec<u32>, Vec<u32>) = (0..n).partition(is_held_out);
    (
        given.select(&training, dimension),
        given.select(&held_out, dimension),
    )
}

/// The arrays of a file; the first two are needed.
const NAMES: [&str; 4] = ["x0", "x1", "log_q", "log_det"];

/// Shape and values of each of [`NAMES`].
type Arrays = [Option<(Vec<usize>, Vec<f64>)>; NAMES.len()];

fn read_npz(path: &Path) -> Result<Arrays, PairsError> {
    let mut file = NpzReader::open(path)?;
    let there = file.names();
    let mut arrays = Arrays::default();
    for (place, name) in NAMES.iter().enumerate() {
        if place < 2 || there.iter().any(|array| array == name) {
            let array = file.f64(name)?;
            arrays[place] = Some((array.shape, array.data));
        }
    }
    Ok(arrays)
}

fn read_safetensors(path: &Path) -> Result<Arrays, PairsError> {
    let bytes = std::fs::read(path).map_err(|source| PairsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |name, found: String| PairsError::GivenArray {
        path: path.to_owned(),
        name,
        expected: "an array of type F32 or F64 in a whole safetensors file".into(),
        found,
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| wrong("x0", e.to_string()))?;
    let there = tensors.names();
    let mut arrays = Arrays::default();
    for (place, name) in NAMES.into_iter().enumerate() {
        if place >= 2 && !there.contains(&name) {
            continue;
        }
        let view = tensors
            .tensor(name)
            .map_err(|e| wrong(name, e.to_string()))?;
        let values = match view.dtype() {
            Dtype::F32 => f32s(view.data()).into_iter().map(f64::from).collect(),
            Dtype::F64 => f64s(view.data()),
            other => return Err(wrong(name, format!("{other:?}"))),
        };
        arrays[place] = Some((view.shape().to_vec(), values));
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{ArrayData, NamedArray, write_npz};
    use safetensors::tensor::TensorView;

    fn npz(path: &Path, x0: &[f32], x1: &[f64], dimension: usize) {
        let shape0 = [x0.len() / dimension, dimension];
        let shape1 = [x1.len() / dimension, dimension];
        let arrays = [
            NamedArray {
                name: "x0",
                shape: &shape0,
                data: ArrayData::F32(x0),
            },
            NamedArray {
                name: "x1",
                shape: &shape1,
                data: ArrayData::F64(x1),
            },
        ];
        write_npz(path, &arrays).expect("written");
    }

    #[test]
    fn reads_both_formats() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut expected = PairRows {
            x0: vec![1.0, 2.0, 3.0, 4.0],
            x1: vec![0.5, 1.5, 2.5, 3.5],
            ..PairRows::default()
        };
        let path = folder.path().join("pairs.npz");
        npz(&path, &expected.x0, &[0.5, 1.5, 2.5, 3.5], 2);
        assert_eq!(read(&path, 2).expect("read"), expected);
        let path = folder.path().join("pairs.safetensors");
        let wide = [0.5f64, 1.5, 2.5, 3.5];
        let view = |dtype, bytes| TensorView::new(dtype, vec![2, 2], bytes).expect("view");
        let tensors = [
            ("x0", view(Dtype::F32, bytemuck::cast_slice(&expected.x0))),
            ("x1", view(Dtype::F64, bytemuck::cast_slice(&wide))),
        ];
        let bytes = safetensors::serialize(tensors, None).expect("serialised");
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(read(&path, 2).expect("read"), expected);
        std::fs::write(&path, &bytes[..bytes.len() - 3]).expect("cut");
        assert!(read(&path, 2).is_err());
        let tensors = [
            ("x0", view(Dtype::F32, bytemuck::cast_slice(&expected.x0))),
            ("x1", view(Dtype::F64, bytemuck::cast_slice(&wide))),
        ];
        let density = [-1.5f64, 2.25];
        let log_det = TensorView::new(Dtype::F64, vec![2], bytemuck::cast_slice(&density));
        let more = [("log_det", log_det.expect("view"))];
        let bytes = safetensors::serialize(tensors.into_iter().chain(more), None);
        std::fs::write(&path, bytes.expect("serialised")).expect("written");
        expected.log_det = Some(density.to_vec());
        assert_eq!(read(&path, 2).expect("read"), expected);
    }

    #[test]
    fn contiguous_blocks_are_held_out() {
        let n = 1000;
        let column: Vec<f32> = (0..n).map(|row| row as f32).collect();
        let given = PairRows {
            x0: column.clone(),
            x1: column.iter().map(|x| x + 0.5).collect(),
            log_q: None,
            log_det: Some(column.iter().map(|&x| f64::from(x)).collect()),
        };
        let (train, held_out) = split(&given, 1, 20);
        // Five blocks of ten: rows 100 to 109, 300 to 309, and so on.
        let expected: Vec<f32> = (0..5)
            .flat_map(|k| (0..10).map(move |row| (100 + 200 * k + row) as f32))
            .collect();
        assert_eq!(held_out.x0, expected);
        assert_eq!(held_out.x1[0], 100.5);
        assert_eq!(held_out.log_det.unwrap()[49], 909.0);
        assert_eq!((train.x0.len(), train.x0[100]), (950, 110.0));
    }

    #[test]
    fn bad_files_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pairs.npz");
        let told = |path: &Path, dimension| read(path, dimension).expect_err("refused").to_string();
        assert!(told(&path, 2).contains("pairs.npz"));
        assert!(told(&folder.path().join("pairs.csv"), 2).contains("expected a .npz"));
        npz(&path, &[1.0; 4], &[0.5; 4], 2);
        assert!(
            told(&path, 3).contains("expected shape [n, 3]"),
            "{}",
            told(&path, 3)
        );
        npz(&path, &[1.0; 4], &[0.5; 6], 2);
        assert!(
            told(&path, 2).contains("array 'x1': expected shape [2, 2]"),
            "{}",
            told(&path, 2)
        );
        for (log_q, message) in [
            (
                &[1.0; 3][..],
                "array 'log_q': expected shape [2], one number for each pair, found [3]",
            ),
            (&[0.0, f64::NAN], "found NaN in row 1"),
        ] {
            let arrays = [
                ("x0", &[1.0f64; 4][..], &[2usize, 2][..]),
                ("x1", &[0.5; 4], &[2, 2]),
                ("log_q", log_q, &[log_q.len()]),
            ];
            let arrays = arrays.map(|(name, data, shape)| NamedArray {
                name,
                shape,
                data: ArrayData::F64(data),
            });
            write_npz(&path, &arrays).expect("written");
            assert!(told(&path, 2).contains(message), "{}", told(&path, 2));
        }
        npz(&path, &[1.0; 4], &[0.5, 0.5, f64::INFINITY, 0.5], 2);
        assert!(
            told(&path, 2).contains("inf in row 1, column 0"),
            "{}",
            told(&path, 2)
        );
        // Finite, but not in single precision.
        npz(&path, &[1.0; 4], &[0.5, 1e39, 0.5, 0.5], 2);
        assert!(
            told(&path, 2)
                .contains("found 1000000000000000000000000000000000000000 in row 0, column 1"),
            "{}",
            told(&path, 2)
        );
    }
}
