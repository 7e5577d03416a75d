//! The header of NetCDF's classic formats: dimensions, variables and the attributes that matter.
//! Specification: <https://docs.unidata.ucar.edu/nug/current/file_format_specifications.html>.

use super::Fault;
use super::bytes::{Bytes, Order, damaged};

/// No sane header has more entries, names or dimensions than this; a count beyond is damage.
const MOST: u64 = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Float,
    Double,
    /// Of so many bytes.
    Other(u64),
}

impl Kind {
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Float => 4,
            Self::Double => 8,
            Self::Other(size) => size,
        }
    }

    fn of(code: u64) -> Result<Self, Fault> {
        Ok(match code {
            1 | 2 | 7 => Self::Other(1),
            3 | 8 => Self::Other(2),
            4 | 9 => Self::Other(4),
            5 => Self::Float,
            6 => Self::Double,
            10 | 11 => Self::Other(8),
            _ => return damaged(format!("a type {code}, which NetCDF does not have")),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub name: String,
    pub kind: Kind,
    /// Has the unlimited dimension, which counts frames.
    pub record: bool,
    /// Numbers, per record if it has records.
    pub numbers: u64,
    /// First byte (of the first record).
    pub begin: u64,
    pub units: Option<String>,
    pub scale: Option<f64>,
}

pub(super) struct Header {
    /// Records that the header promises, unless it was never completed.
    records: Option<u64>,
    dimensions: Vec<(String, u64)>,
    variables: Vec<Variable>,
    /// Bytes from record to record.
    pub record_size: u64,
}

/// How wide numbers are in the header.
struct Version {
    wide_offsets: bool,
    wide_counts: bool,
}

impl Header {
    pub(super) fn read(bytes: &mut Bytes) -> Result<Self, Fault> {
        let magic: [u8; 4] = bytes.array()?;
        let version = match magic {
            [b'C', b'D', b'F', 1] => Version {
                wide_offsets: false,
                wide_counts: false,
            },
            [b'C', b'D', b'F', 2] => Version {
                wide_offsets: true,
                wide_counts: false,
            },
            [b'C', b'D', b'F', 5] => Version {
                wide_offsets: true,
                wide_counts: true,
            },
            [0x89, b'H', b'D', b'F'] => {
                return damaged(
                    "it is NetCDF-4 (HDF5), the AMBER convention has classic NetCDF; convert it with nccopy -k classic or cpptraj",
                );
            }
            _ => return damaged("no NetCDF header"),
        };
        // All bits set: a program was still writing.
        let records = if version.wide_counts {
            u64::try_from(Order::Big.i64(bytes.array()?)).ok()
        } else {
            u64::try_from(bytes.i32(Order::Big)?).ok()
        };
        let mut dimensions = Vec::new();
        for _ in 0..version.list(bytes, 10)? {
            dimensions.push((version.name(bytes)?, version.count(bytes)?));
        }
        for _ in 0..version.list(bytes, 12)? {
            version.attribute(bytes)?;
        }
        let mut variables = Vec::new();
        for _ in 0..version.list(bytes, 11)? {
            variables.push(version.variable(bytes, &dimensions)?);
        }
        let sizes: Vec<u64> = variables
            .iter()
            .filter(|variable| variable.record)
            .map(|variable| variable.numbers.saturating_mul(variable.kind.size()))
            .collect();
        // Each record of a variable is padded to words, unless it is the only one.
        let record_size = match sizes.as_slice() {
            [size] => *size,
            sizes => sizes.iter().fold(0_u64, |sum, size| {
                sum.saturating_add(size.saturating_add(3) & !3)
            }),
        };
        Ok(Self {
            records,
            dimensions,
            variables,
            record_size,
        })
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    pub(super) fn dimension(&self, name: &str) -> Option<u64> {
        let found = self.dimensions.iter().find(|found| found.0 == name);
        found.map(|found| found.1)
    }

    /// Records that are whole in a file of this length, and why there are no more, if the header promises more.
    pub(super) fn whole_records(&self, length: u64) -> (u64, Option<String>) {
        let records = self.variables.iter().filter(|variable| variable.record);
        let first = records.clone().map(|variable| variable.begin).min();
        let Some(first) = first.filter(|_| self.record_size > 0) else {
            return (0, None);
        };
        // The padding of the very last variable may be missing.
        let last = records
            .map(|variable| {
                let bytes = variable.numbers.saturating_mul(variable.kind.size());
                (variable.begin - first).saturating_add(bytes)
            })
            .max()
            .unwrap_or(self.record_size)
            .min(self.record_size);
        let body = length.saturating_sub(first);
        let whole = if body < last {
            0
        } else {
            1 + (body - last) / self.record_size
        };
        match self.records {
            Some(promised) if promised > whole => (
                whole,
                Some(format!(
                    "the file ends within this frame, but its header promises {promised} frames"
                )),
            ),
            Some(promised) => (promised, None),
            None => (whole, None),
        }
    }
}

impl Version {
    fn count(&self, bytes: &mut Bytes) -> Result<u64, Fault> {
        if !self.wide_counts {
            return bytes.size(Order::Big);
        }
        let value = Order::Big.i64(bytes.array()?);
        u64::try_from(value).or_else(|_| damaged(format!("a size of {value}")))
    }

    fn few(&self, bytes: &mut Bytes, what: &str) -> Result<u64, Fault> {
        let count = self.count(bytes)?;
        if count > MOST {
            return damaged(format!("{count} {what} in the header"));
        }
        Ok(count)
    }

    /// Entries of a list with the tag `tag`; an absent list has none.
    fn list(&self, bytes: &mut Bytes, tag: i32) -> Result<u64, Fault> {
        let found = bytes.i32(Order::Big)?;
        let count = self.few(bytes, "entries")?;
        if found != tag && (found != 0 || count != 0) {
            return damaged(format!("tag {found} in the header where {tag} is expected"));
        }
        Ok(count)
    }

    /// Bytes, padded to words.
    fn padded(&self, bytes: &mut Bytes, count: u64) -> Result<Vec<u8>, Fault> {
        let mut content = Vec::new();
        bytes.fill(&mut content, count)?;
        bytes.skip(count.next_multiple_of(4) - count)?;
        Ok(content)
    }

    fn name(&self, bytes: &mut Bytes) -> Result<String, Fault> {
        let length = self.few(bytes, "letters of a name")?;
        Ok(String::from_utf8_lossy(&self.padded(bytes, length)?).into_owned())
    }

    /// Name, text (where it is text) and number (where it is one of floating point).
    fn attribute(&self, bytes: &mut Bytes) -> Result<(String, Option<String>, Option<f64>), Fault> {
        let name = self.name(bytes)?;
        let code = bytes.size(Order::Big)?;
        let kind = Kind::of(code)?;
        let size = self.count(bytes)?.checked_mul(kind.size());
        let size = size.filter(|&size| size <= bytes.left());
        let Some(size) = size else {
            return damaged(format!(
                "attribute '{name}' goes beyond the end of the file"
            ));
        };
        let content = self.padded(bytes, size)?;
        let text = (code == 2).then(|| {
            String::from_utf8_lossy(&content)
                .trim_end_matches('\0')
                .to_owned()
        });
        let number = match (kind, content.as_slice()) {
            (Kind::Float, &[a, b, c, d]) => Some(f64::from(Order::Big.f32([a, b, c, d]))),
            (Kind::Double, &[a, b, c, d, e, f, g, h]) => {
                Some(Order::Big.f64([a, b, c, d, e, f, g, h]))
            }
            _ => None,
        };
        Ok((name, text, number))
    }

    fn variable(&self, bytes: &mut Bytes, dimensions: &[(String, u64)]) -> Result<Variable, Fault> {
        let name = self.name(bytes)?;
        let (mut record, mut numbers) = (false, 1_u64);
        for place in 0..self.few(bytes, "dimensions of a variable")? {
            let id = self.count(bytes)?;
            let dimension = usize::try_from(id).ok().and_then(|id| dimensions.get(id));
            match dimension {
                // The unlimited dimension has length 0 here.
                Some((_, 0)) if place == 0 => record = true,
                Some(&(_, length)) if length > 0 => numbers = numbers.saturating_mul(length),
                _ => return damaged(format!("an impossible dimension of '{name}'")),
            }
        }
        let (mut units, mut scale) = (None, None);
        for _ in 0..self.list(bytes, 12)? {
            match self.attribute(bytes)? {
                (name, text, _) if name == "units" => units = text,
                (name, _, number) if name == "scale_factor" => scale = number,
                _ => {}
            }
        }
        let kind = Kind::of(bytes.size(Order::Big)?)?;
        self.count(bytes)?; // size: redundant, and too small for large variables
        let begin = if self.wide_offsets {
            let begin = Order::Big.i64(bytes.array()?);
            u64::try_from(begin).or_else(|_| damaged(format!("'{name}' begins at byte {begin}")))?
        } else {
            bytes.size(Order::Big)?
        };
        Ok(Variable {
            name,
            kind,
            record,
            numbers,
            begin,
            units,
            scale,
        })
    }
}
