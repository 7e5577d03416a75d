//! Named arrays in NumPy's .npz format, for what goes beside trajectories.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use npyz::npz::{NpzArchive, NpzWriter};
use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, DateTime};
use npyz::{Order, WriterBuilder};

use super::{SystemError, write_atomically};

/// Numbers of an array to write.
#[derive(Clone, Copy, Debug)]
pub enum ArrayData<'a> {
    /// Double precision.
    F64(&'a [f64]),
    /// Single precision.
    F32(&'a [f32]),
    /// Unsigned integers.
    U64(&'a [u64]),
}

/// An array to write, in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct NamedArray<'a> {
    /// Name in the archive.
    pub name: &'a str,
    /// Dimensions.
    pub shape: &'a [usize],
    /// Numbers.
    pub data: ArrayData<'a>,
}

/// An array that was read, in row-major order.
#[derive(Clone, PartialEq, Debug)]
pub struct Array<T> {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Numbers.
    pub data: Vec<T>,
}

/// Writes arrays to an .npz file (uncompressed, as `numpy.savez`), atomically.
///
/// # Errors
/// [`SystemError::Array`] if an array's shape does not fit its numbers or two have one name, [`SystemError::Write`].
pub fn write_npz(path: &Path, arrays: &[NamedArray]) -> Result<(), SystemError> {
    for (k, array) in arrays.iter().enumerate() {
        let refused = |reason| SystemError::Array {
            path: path.to_owned(),
            name: array.name.to_owned(),
            reason,
        };
        let numbers = match array.data {
            ArrayData::F64(data) => data.len(),
            ArrayData::F32(data) => data.len(),
            ArrayData::U64(data) => data.len(),
        };
        if array.shape.iter().product::<usize>() != numbers {
            return Err(refused(format!(
                "shape {:?} does not fit {numbers} numbers",
                array.shape
            )));
        }
        if arrays[..k].iter().any(|other| other.name == array.name) {
            return Err(refused("there are two of this name".to_owned()));
        }
    }
    write_atomically(path, |file| {
        let mut archive = NpzWriter::new(BufWriter::new(file));
        for array in arrays {
            match array.data {
                ArrayData::F64(data) => put(&mut archive, array, data)?,
                ArrayData::F32(data) => put(&mut archive, array, data)?,
                ArrayData::U64(data) => put(&mut archive, array, data)?,
            }
        }
        archive.zip_writer().finish()?.flush()
    })
}

fn put<T, W>(archive: &mut NpzWriter<W>, array: &NamedArray, data: &[T]) -> io::Result<()>
where
    T: npyz::AutoSerialize + Copy,
    W: Write + io::Seek,
{
    let shape: Vec<u64> = array.shape.iter().map(|&n| n as u64).collect();
    // Stored, and without the time of writing: the same numbers give the same file.
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(size_of_val(data) as u64 > u64::from(u32::MAX) / 2);
    let mut writer = archive
        .array(array.name, options)?
        .default_dtype()
        .shape(&shape)
        .begin_nd()?;
    writer.extend(data.iter().copied())?;
    writer.finish()
}

/// Reads .npz files.
pub struct NpzReader {
    path: PathBuf,
    archive: NpzArchive<BufReader<File>>,
}

impl NpzReader {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`SystemError::Read`] if there is no file or it is no zip archive.
    pub fn open(path: &Path) -> Result<Self, SystemError> {
        let archive = NpzArchive::open(path).map_err(|source| SystemError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            archive,
        })
    }

    /// Names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.archive.array_names().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Reads an array of numbers as f64: any float, or integers of up to 32 bits.
    ///
    /// # Errors
    /// [`SystemError::MissingArray`]; [`SystemError::Array`] for another type, Fortran order or damage.
    pub fn f64(&mut self, name: &str) -> Result<Array<f64>, SystemError> {
        self.read(name, "f64", |file| match kind(&file).as_deref() {
            Some("f8") => file.into_vec::<f64>().map(Some),
            Some("f4") => Ok(Some(
                file.into_vec::<f32>()?.into_iter().map(f64::from).collect(),
            )),
            Some("i4") => Ok(Some(
                file.into_vec::<i32>()?.into_iter().map(f64::from).collect(),
            )),
            Some("i2") => Ok(Some(
                file.into_vec::<i16>()?.into_iter().map(f64::from).collect(),
            )),
            Some("u4") => Ok(Some(
                file.into_vec::<u32>()?.into_iter().map(f64::from).collect(),
            )),
            _ => Ok(None),
        })
    }

    /// Reads an array of f32.
    ///
    /// # Errors
    /// As for [`NpzReader::f64`].
    pub fn f32(&mut self, name: &str) -> Result<Array<f32>, SystemError> {
        self.read(name, "f32", |file| match kind(&file).as_deref() {
            Some("f4") => file.into_vec::<f32>().map(Some),
            _ => Ok(None),
        })
    }

    /// Reads an array of integers that are not negative.
    ///
    /// # Errors
    /// As for [`NpzReader::f64`].
    pub fn u64(&mut self, name: &str) -> Result<Array<u64>, SystemError> {
        self.read(name, "unsigned integers", |file| {
            match kind(&file).as_deref() {
                Some("u8") => file.into_vec::<u64>().map(Some),
                Some("u4") => Ok(Some(
                    file.into_vec::<u32>()?.into_iter().map(u64::from).collect(),
                )),
                Some("i8") => {
                    let signed = file.into_vec::<i64>()?;
                    Ok(signed
                        .into_iter()
                        .map(|value| u64::try_from(value).ok())
                        .collect())
                }
                _ => Ok(None),
            }
        })
    }

    fn read<T>(
        &mut self,
        name: &str,
        wanted: &str,
        convert: impl FnOnce(Entry) -> io::Result<Option<Vec<T>>>,
    ) -> Result<Array<T>, SystemError> {
        let found = self.names();
        let refused = |reason| SystemError::Array {
            path: self.path.clone(),
            name: name.to_owned(),
            reason,
        };
        let file = self
            .archive
            .by_name(name)
            .map_err(|error| refused(error.to_string()))?;
        let Some(file) = file else {
            let (path, name) = (self.path.clone(), name.to_owned());
            return Err(SystemError::MissingArray {
                path,
                name,
                found: found.join(", "),
            });
        };
        if file.order() == Order::Fortran && file.shape().len() > 1 {
            return Err(refused(
                "it is in Fortran order; save it with numpy.ascontiguousarray".to_owned(),
            ));
        }
        let kind = file.dtype().descr();
        let shape: Option<Vec<usize>> = file
            .shape()
            .iter()
            .map(|&n| usize::try_from(n).ok())
            .collect();
        let shape = shape.ok_or_else(|| refused("it is too large for this machine".to_owned()))?;
        let data = convert(file).map_err(|error| refused(error.to_string()))?;
        let data = data.ok_or_else(|| refused(format!("expected {wanted}, found {kind}")))?;
        Ok(Array { shape, data })
    }
}

type Entry<'a> = npyz::NpyFile<npyz::zip::read::ZipFile<'a>>;

/// NumPy's kind and bytes of a plain type in either byte order, e.g. "f8"; `None` for records.
fn kind(file: &Entry) -> Option<String> {
    match file.dtype() {
        npyz::DType::Plain(name) => Some(name.to_string().chars().skip(1).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let (doubles, singles, integers) = (
            [1.0, f64::NAN, -0.0, 1e300, 5.0, 6.0],
            [1.5f32, -2.5],
            [u64::MAX],
        );
        let arrays = [
            NamedArray {
                name: "x",
                shape: &[1, 2, 3],
                data: ArrayData::F64(&doubles),
            },
            NamedArray {
                name: "y",
                shape: &[2],
                data: ArrayData::F32(&singles),
            },
            NamedArray {
                name: "z",
                shape: &[],
                data: ArrayData::U64(&integers),
            },
            NamedArray {
                name: "empty",
                shape: &[0, 3],
                data: ArrayData::F64(&[]),
            },
        ];
        write_npz(&path, &arrays).unwrap();
        let first = std::fs::read(&path).unwrap();
        write_npz(&path, &arrays).unwrap();
        assert_eq!(
            first,
            std::fs::read(&path).unwrap(),
            "no time stamps in the file"
        );
        let mut reader = NpzReader::open(&path).unwrap();
        assert_eq!(reader.names(), ["empty", "x", "y", "z"]);
        let x = reader.f64("x").unwrap();
        assert_eq!(x.shape, [1, 2, 3]);
        assert!(
            x.data
                .iter()
                .zip(doubles)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        assert_eq!(
            reader.f32("y").unwrap(),
            Array {
                shape: vec![2],
                data: singles.to_vec()
            }
        );
        assert_eq!(reader.f64("y").unwrap().data, [1.5, -2.5]);
        assert_eq!(
            reader.u64("z").unwrap(),
            Array {
                shape: vec![],
                data: integers.to_vec()
            }
        );
        assert_eq!(
            reader.f64("empty").unwrap(),
            Array {
                shape: vec![0, 3],
                data: vec![]
            }
        );
    }

    #[test]
    fn errors_name_file_array_and_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let array = |shape, data| {
            write_npz(
                &path,
                &[NamedArray {
                    name: "x",
                    shape,
                    data: ArrayData::U64(data),
                }],
            )
        };
        let error = array(&[2, 2], &[1]).unwrap_err().to_string();
        assert!(error.contains("[2, 2] does not fit 1 numbers"), "{error}");
        array(&[1], &[1]).unwrap();
        let mut reader = NpzReader::open(&path).unwrap();
        let error = reader.f64("energy").unwrap_err().to_string();
        assert!(
            error.contains("'energy'") && error.contains("it has: x"),
            "{error}"
        );
        let error = reader.f64("x").unwrap_err().to_string();
        assert!(
            error.contains("expected f64") && error.contains("u8"),
            "{error}"
        );
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(
            NpzReader::open(&path),
            Err(SystemError::Read { .. })
        ));
        assert!(matches!(
            NpzReader::open(&folder.path().join("none")),
            Err(SystemError::Read { .. })
        ));
    }

    #[test]
    fn reads_what_another_program_wrote() {
        // Written by Python's zipfile and struct, see make.py there.
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/data/alanine-dipeptide/energies.npz"
        );
        let mut reader = NpzReader::open(Path::new(path)).unwrap();
        let (frame, energy) = (reader.u64("frame").unwrap(), reader.f64("energy").unwrap());
        assert_eq!(
            (frame.shape.as_slice(), energy.shape.as_slice()),
            (&[200][..], &[200][..])
        );
        assert!(
            frame
                .data
                .iter()
                .enumerate()
                .all(|(k, &frame)| frame == 50 * k as u64)
        );
        // The run's mean is -59.44 with a standard deviation of 13.58 kJ/mol: 200 frames to five standard errors.
        let mean = energy.data.iter().sum::<f64>() / 200.0;
        assert!((mean + 59.44).abs() < 5.0 * 13.58 / 200f64.sqrt(), "{mean}");
    }
}
