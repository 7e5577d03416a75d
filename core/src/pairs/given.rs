//! Pairs given by the user.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use super::PairsError;
use super::shard::read_f32;
use crate::system::NpzReader;

/// Pairs from a file, in features.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenPairs {
    /// Prior side, `[n, D]`.
    pub x0: Vec<f32>,
    /// Data side, `[n, D]`.
    pub x1: Vec<f32>,
}

impl GivenPairs {
    /// Reads the arrays `x0` and `x1`, both `[n, D]` with `D = dimension`, from an `.npz` (f32 or f64) or `.safetensors`
    /// (F32 or F64) file.
    ///
    /// # Errors
    /// No such file or arrays, other shapes or types, no pairs at all, values that are not finite.
    pub fn read(path: &Path, dimension: usize) -> Result<GivenPairs, PairsError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let [(shape0, x0), (shape1, x1)] = match extension {
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
        if shape0.len() != 2 || shape0[1] != dimension || shape0[0] == 0 {
            let expected =
                format!("shape [n, {dimension}] with n > 0, as many as the model has features");
            return Err(wrong("x0", expected, format!("{shape0:?}")));
        }
        if shape1 != shape0 {
            return Err(wrong(
                "x1",
                format!("shape {shape0:?} as of x0"),
                format!("{shape1:?}"),
            ));
        }
        for (name, values) in [("x0", &x0), ("x1", &x1)] {
            if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
                let (row, column) = (bad / dimension, bad % dimension);
                let found = format!("{} in row {row}, column {column}", values[bad]);
                return Err(wrong(name, "finite numbers".into(), found));
            }
        }
        Ok(GivenPairs { x0, x1 })
    }

    /// Divides the pairs into training and held-out ones: every `interval`-th is held out.
    pub(super) fn split(self, dimension: usize, interval: usize) -> (GivenPairs, GivenPairs) {
        let pick = |values: &[f32], held_out: bool| -> Vec<f32> {
            let rows = values.chunks_exact(dimension).enumerate();
            let chosen = rows.filter(|(i, _)| (i % interval == interval - 1) == held_out);
            chosen.flat_map(|(_, row)| row).copied().collect()
        };
        let part = |held_out| GivenPairs {
            x0: pick(&self.x0, held_out),
            x1: pick(&self.x1, held_out),
        };
        (part(false), part(true))
    }
}

type Matrix = (Vec<usize>, Vec<f32>);

fn read_npz(path: &Path) -> Result<[Matrix; 2], PairsError> {
    let mut file = NpzReader::open(path)?;
    let mut array = |name| -> Result<Matrix, PairsError> {
        let array = file.f64(name)?;
        Ok((
            array.shape,
            array.data.into_iter().map(|x| x as f32).collect(),
        ))
    };
    Ok([array("x0")?, array("x1")?])
}

fn read_safetensors(path: &Path) -> Result<[Matrix; 2], PairsError> {
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
    let array = |name| -> Result<Matrix, PairsError> {
        let view = tensors
            .tensor(name)
            .map_err(|e| wrong(name, e.to_string()))?;
        let values = match view.dtype() {
            Dtype::F32 => read_f32(view.data()),
            Dtype::F64 => {
                let (numbers, _) = view.data().as_chunks();
                numbers
                    .iter()
                    .map(|&b| f64::from_le_bytes(b) as f32)
                    .collect()
            }
            other => return Err(wrong(name, format!("{other:?}"))),
        };
        Ok((view.shape().to_vec(), values))
    };
    Ok([array("x0")?, array("x1")?])
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
        let expected = GivenPairs {
            x0: vec![1.0, 2.0, 3.0, 4.0],
            x1: vec![0.5, 1.5, 2.5, 3.5],
        };
        let path = folder.path().join("pairs.npz");
        npz(&path, &expected.x0, &[0.5, 1.5, 2.5, 3.5], 2);
        assert_eq!(GivenPairs::read(&path, 2).expect("read"), expected);
        let path = folder.path().join("pairs.safetensors");
        let wide = [0.5f64, 1.5, 2.5, 3.5];
        let view = |dtype, bytes| TensorView::new(dtype, vec![2, 2], bytes).expect("view");
        let tensors = [
            ("x0", view(Dtype::F32, bytemuck::cast_slice(&expected.x0))),
            ("x1", view(Dtype::F64, bytemuck::cast_slice(&wide))),
        ];
        let bytes = safetensors::serialize(tensors, None).expect("serialised");
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(GivenPairs::read(&path, 2).expect("read"), expected);
        std::fs::write(&path, &bytes[..bytes.len() - 3]).expect("cut");
        assert!(GivenPairs::read(&path, 2).is_err());
        let (train, held_out) = expected.clone().split(2, 2);
        assert_eq!((train.x0, held_out.x1), (vec![1.0, 2.0], vec![2.5, 3.5]));
    }

    #[test]
    fn bad_files_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pairs.npz");
        let told = |path: &Path, dimension| {
            GivenPairs::read(path, dimension)
                .expect_err("refused")
                .to_string()
        };
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
        npz(&path, &[1.0; 4], &[0.5, 0.5, f64::INFINITY, 0.5], 2);
        assert!(
            told(&path, 2).contains("inf in row 1, column 0"),
            "{}",
            told(&path, 2)
        );
    }
}
