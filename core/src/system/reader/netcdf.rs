//! AMBER NetCDF trajectories and restarts, in the classic formats (CDF-1, 2 and 5).
//! Convention: <https://ambermd.org/netcdf/nctraj.xhtml>.

use super::bytes::{Bytes, Order, damaged};
use super::comment::length_unit;
use super::netcdf_header::{Header, Kind, Variable};
use super::{Fault, RawFrame, Reader, cell};

/// NetCDF's fill value: what was never written.
const FILL: f64 = 9.969_209_968_386_869e36;

pub(super) struct AmberNetCdf {
    bytes: Bytes,
    header: Header,
    coordinates: Option<Array>,
    lengths: Option<Array>,
    angles: Option<Array>,
    n_atoms: usize,
    /// Whole frames.
    frames: u64,
    next: u64,
    damage: Option<String>,
    buffer: Vec<u8>,
}

/// A variable of numbers: where they are, and what they are to be multiplied with.
struct Array {
    variable: Variable,
    factor: f64,
}

impl AmberNetCdf {
    pub(super) fn open(mut bytes: Bytes, n_atoms: usize) -> Result<Self, Fault> {
        let header = match Header::read(&mut bytes) {
            Err(Fault::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return damaged("the file ends within its header");
            }
            result => result?,
        };
        let array = |name: &str,
                     numbers: u64,
                     unit: fn(&str) -> Option<f64>|
         -> Result<Option<Array>, Fault> {
            let Some(variable) = header.variable(name) else {
                return Ok(None);
            };
            if ![Kind::Float, Kind::Double].contains(&variable.kind) {
                return damaged(format!("'{name}' are no floating-point numbers"));
            }
            if variable.numbers != numbers {
                return damaged(format!(
                    "'{name}' has {} numbers per frame, expected {numbers}",
                    variable.numbers
                ));
            }
            let unit = match &variable.units {
                None => unit(""),
                Some(units) => match unit(units.trim()) {
                    None => return damaged(format!("'{name}' are in unknown units '{units}'")),
                    unit => unit,
                },
            };
            Ok(Some(Array {
                factor: unit.unwrap_or(1.0) * variable.scale.unwrap_or(1.0),
                variable: variable.clone(),
            }))
        };
        let length = |units: &str| {
            if units.is_empty() {
                Some(0.1)
            } else {
                length_unit(units)
            }
        };
        let angle = |units: &str| match units.to_ascii_lowercase().as_str() {
            "" | "degree" | "degrees" | "deg" => Some(1.0),
            "radian" | "radians" | "rad" => Some(1_f64.to_degrees()),
            _ => None,
        };
        if let Some(found) = header.dimension("atom")
            && found != n_atoms as u64
        {
            return Err(Fault::Count(found as usize));
        }
        let coordinates = array("coordinates", 3 * n_atoms as u64, length)?;
        let (lengths, angles) = (
            array("cell_lengths", 3, length)?,
            array("cell_angles", 3, angle)?,
        );
        if coordinates.is_none()
            && header.variable("velocities").is_none()
            && header.variable("forces").is_none()
        {
            return damaged("no variable 'coordinates', as the AMBER convention has it");
        }
        let record = coordinates
            .as_ref()
            .is_none_or(|array| array.variable.record);
        let (frames, damage) = if record {
            header.whole_records(bytes.length())
        } else {
            (1, None)
        };
        Ok(Self {
            bytes,
            header,
            coordinates,
            lengths,
            angles,
            n_atoms,
            frames,
            next: 0,
            damage,
            buffer: Vec::new(),
        })
    }
}

/// Appends the numbers of one frame.
fn read(
    bytes: &mut Bytes,
    buffer: &mut Vec<u8>,
    header: &Header,
    array: &Array,
    frame: u64,
    numbers: &mut Vec<f64>,
) -> Result<(), Fault> {
    let variable = &array.variable;
    let record = if variable.record { frame } else { 0 };
    let start = header
        .record_size
        .checked_mul(record)
        .and_then(|offset| offset.checked_add(variable.begin))
        .filter(|&start| start <= bytes.length());
    let Some(start) = start else {
        return damaged("positions beyond the end of the file");
    };
    bytes.seek(start)?;
    bytes.fill(buffer, variable.numbers * variable.kind.size())?;
    let factor = |x: f64| {
        if x == FILL {
            f64::INFINITY
        } else {
            x * array.factor
        }
    };
    if variable.kind == Kind::Double {
        let (values, _) = buffer.as_chunks::<8>();
        numbers.extend(values.iter().map(|&x| factor(Order::Big.f64(x))));
    } else {
        let (values, _) = buffer.as_chunks::<4>();
        numbers.extend(values.iter().map(|&x| factor(f64::from(Order::Big.f32(x)))));
    }
    Ok(())
}

impl Reader for AmberNetCdf {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if self.next == self.frames {
            return match self.damage.take() {
                Some(reason) => damaged(reason),
                None => Ok(false),
            };
        }
        if let Some(frame) = frame {
            frame.clear();
            let (bytes, buffer, header) = (&mut self.bytes, &mut self.buffer, &self.header);
            match &self.coordinates {
                Some(array) => {
                    read(
                        bytes,
                        buffer,
                        header,
                        array,
                        self.next,
                        &mut frame.positions,
                    )?;
                    // Never written.
                    frame.empty =
                        self.n_atoms > 0 && frame.positions.iter().all(|&x| x == f64::INFINITY);
                }
                None => frame.empty = true,
            }
            if let (Some(lengths), Some(angles)) = (&self.lengths, &self.angles) {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                read(bytes, buffer, header, lengths, self.next, &mut a)?;
                read(bytes, buffer, header, angles, self.next, &mut b)?;
                frame.cell = cell::from_lengths([a[0], a[1], a[2]], [b[0], b[1], b[2]]);
            }
        }
        self.next += 1;
        Ok(true)
    }
}
