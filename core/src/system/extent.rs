//! How many whole frames a trajectory file holds.
//!
//! chemfiles rounds the number of frames of a cut DCD, XTC, TRR or PDB file down without a word, and refuses other cut text
//! files as a whole; it reads past its arrays for LAMMPS dumps whose atom ids are not 1 to N. So these formats are walked
//! through here first (headers only, where that is possible).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Whole frames from the start.
    pub frames: usize,
    /// Bytes up to the end of the last whole frame.
    pub bytes: u64,
    /// The last whole frame of a text file that ends without a line end: numbers there may have lost digits.
    pub unterminated: bool,
    /// Why there are no more, if the file does not simply end there.
    pub damage: Option<String>,
}

/// Formats of lines, of which chemfiles may need a copy that ends with the last whole frame.
pub(super) fn is_text(format: &str) -> bool {
    matches!(format, "XYZ" | "GRO" | "LAMMPS" | "PDB")
}

/// Walks through a file of a format (as chemfiles names it) that needs it; `None` for other formats.
pub(super) fn extent(path: &Path, format: &str) -> io::Result<Option<Extent>> {
    let walk: fn(&mut Walker) -> io::Result<Extent> = match format {
        "DCD" => dcd,
        "XTC" => |walker| walker.frames(xtc_frame),
        "TRR" => |walker| walker.frames(trr_frame),
        "XYZ" => |walker| walker.frames(|walker| counted_lines(walker, false)),
        "GRO" => |walker| walker.frames(|walker| counted_lines(walker, true)),
        "LAMMPS" => |walker| walker.frames(lammps_frame),
        "PDB" => |walker| {
            let mut first = true;
            walker.frames(|walker| pdb_frame(walker, std::mem::take(&mut first)))
        },
        _ => return Ok(None),
    };
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut walker = Walker {
        file: BufReader::new(file),
        length,
        position: 0,
        unterminated: false,
    };
    walk(&mut walker).map(Some)
}

struct Walker {
    file: BufReader<File>,
    length: u64,
    position: u64,
    /// The last line that was read lacks its end.
    unterminated: bool,
}

/// A step through a frame: `Ok(None)` where the file ends for good, `Err(InvalidData)` or `Err(UnexpectedEof)` for damage.
type Step = io::Result<Option<()>>;

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

impl Walker {
    /// Repeats `frame` until the end of the file or damage.
    fn frames(&mut self, mut frame: impl FnMut(&mut Self) -> Step) -> io::Result<Extent> {
        let mut whole = Extent {
            frames: 0,
            bytes: 0,
            unterminated: false,
            damage: None,
        };
        while self.position < self.length {
            match frame(self) {
                Ok(Some(())) => (whole.frames, whole.bytes) = (whole.frames + 1, self.position),
                Ok(None) => break,
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        whole.damage = Some("the file ends in the middle of this frame".to_owned());
                        break;
                    }
                    io::ErrorKind::InvalidData => {
                        whole.damage = Some(error.to_string());
                        break;
                    }
                    _ => return Err(error),
                },
            }
        }
        whole.unterminated = whole.damage.is_none() && self.unterminated;
        Ok(whole)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let target = self
            .position
            .checked_add(bytes)
            .filter(|&target| target <= self.length);
        let (Some(target), Ok(offset)) = (target, i64::try_from(bytes)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.file.seek_relative(offset)?;
        self.position = target;
        Ok(())
    }

    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// A big-endian number that must not be negative (XDR files).
    fn size(&mut self) -> io::Result<u64> {
        let value = i32::from_be_bytes(self.read()?);
        u64::try_from(value).map_err(|_| invalid(format!("a size of {value}")))
    }

    /// A whole line without its end; `None` at the end of the file.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let n = self.file.read_until(b'\n', &mut line)?;
        self.position += n as u64;
        if n > 0 {
            self.unterminated = line.last() != Some(&b'\n');
        }
        // Comments in other encodings do no harm.
        let text = String::from_utf8_lossy(&line);
        Ok((n > 0).then(|| text.trim_end().to_owned()))
    }

    fn needed_line(&mut self) -> io::Result<String> {
        self.line()?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// CHARMM/X-PLOR DCD: Fortran records of 32 or 64-bit markers in either byte order, coordinates in X, Y, Z records; atoms that
/// are fixed appear in the first frame only. Layout as in chemfiles' and VMD's readers.
fn dcd(walker: &mut Walker) -> io::Result<Extent> {
    match dcd_layout(walker) {
        Ok(extent) => Ok(extent),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
            ) =>
        {
            Ok(Extent {
                frames: 0,
                bytes: 0,
                unterminated: false,
                damage: Some(match error.kind() {
                    io::ErrorKind::InvalidData => error.to_string(),
                    _ => "the file ends within its header".to_owned(),
                }),
            })
        }
        Err(error) => Err(error),
    }
}

fn dcd_layout(walker: &mut Walker) -> io::Result<Extent> {
    let start: [u8; 12] = walker.read()?;
    let (wide, big) = match start {
        [84, 0, 0, 0, b'C', b'O', b'R', b'D', ..] => (false, false),
        [0, 0, 0, 84, b'C', b'O', b'R', b'D', ..] => (false, true),
        [84, 0, 0, 0, 0, 0, 0, 0, b'C', b'O', b'R', b'D'] => (true, false),
        [0, 0, 0, 0, 0, 0, 0, 84, b'C', b'O', b'R', b'D'] => (true, true),
        _ => return Err(invalid("no DCD header")),
    };
    let marker = if wide { 8 } else { 4 };
    walker.file.seek(SeekFrom::Start(marker))?;
    walker.position = marker;
    let words: [u8; 84] = walker.read()?;
    let word = |k: usize| {
        let bytes = [
            words[4 * k],
            words[4 * k + 1],
            words[4 * k + 2],
            words[4 * k + 3],
        ];
        if big {
            i32::from_be_bytes(bytes)
        } else {
            i32::from_le_bytes(bytes)
        }
    };
    let (claimed, fixed, cell, fourth, charmm) =
        (word(1), word(9), word(11), word(12), word(20) != 0);
    walker.skip(marker)?;
    let record = |walker: &mut Walker| -> io::Result<u64> {
        let size = match (wide, big) {
            (false, false) => i64::from(i32::from_le_bytes(walker.read()?)),
            (false, true) => i64::from(i32::from_be_bytes(walker.read()?)),
            (true, false) => i64::from_le_bytes(walker.read()?),
            (true, true) => i64::from_be_bytes(walker.read()?),
        };
        u64::try_from(size).map_err(|_| invalid("a negative record size"))
    };
    let int = |walker: &mut Walker| -> io::Result<i32> {
        let bytes = walker.read()?;
        Ok(if big {
            i32::from_be_bytes(bytes)
        } else {
            i32::from_le_bytes(bytes)
        })
    };
    let title = record(walker)?;
    if title >= 4 && (title - 4) % 80 == 0 {
        // chemfiles believes this count beyond the end of the record.
        let lines = int(walker)?;
        if u64::try_from(lines) != Ok((title - 4) / 80) {
            return Err(invalid(format!(
                "{lines} lines in a title of {title} bytes"
            )));
        }
        walker.skip(title - 4)?;
    } else {
        walker.skip(title)?;
    }
    walker.skip(marker)?;
    if record(walker)? != 4 {
        return Err(invalid("no number of atoms"));
    }
    let atoms = int(walker)?;
    walker.skip(marker)?;
    if atoms < 1 || !(0..atoms).contains(&fixed) {
        return Err(invalid("an impossible number of atoms"));
    }
    let (atoms, fixed) = (atoms as u64, fixed as u64);
    if fixed != 0 {
        let free = atoms - fixed;
        if record(walker)? != 4 * free {
            return Err(invalid("a list of free atoms of the wrong length"));
        }
        let mut last = 0;
        for _ in 0..free {
            let atom = u64::try_from(int(walker)?).unwrap_or(0);
            if atom <= last || atom > atoms {
                return Err(invalid("an impossible list of free atoms"));
            }
            last = atom;
        }
        walker.skip(marker)?;
    }
    let frame_size = |atoms: u64| {
        let cell = if charmm && cell != 0 {
            2 * marker + 48
        } else {
            0
        };
        let sets = if charmm && fourth == 1 { 4 } else { 3 };
        cell + sets * (2 * marker + 4 * atoms)
    };
    let (header, first, later) = (
        walker.position,
        frame_size(atoms),
        frame_size(atoms - fixed),
    );
    let body = walker.length - header;
    let (frames, rest) = if body < first {
        (0, body)
    } else {
        (1 + (body - first) / later, (body - first) % later)
    };
    let bytes = walker.length - rest;
    // Programs that crash leave a count of 0 or of their last update; only fewer frames than claimed is a loss.
    let damage = if rest != 0 {
        Some(format!("the file ends {rest} bytes into this frame"))
    } else if claimed > 0 && frames < claimed as u64 {
        Some(format!(
            "the file ends here, but its header promises {claimed} frames"
        ))
    } else {
        None
    };
    Ok(Extent {
        frames: frames as usize,
        bytes,
        unterminated: false,
        damage,
    })
}

/// GROMACS XTC: see `xdrfile_compress_coord_float`; up to 9 atoms are stored uncompressed.
fn xtc_frame(walker: &mut Walker) -> Step {
    let magic = i32::from_be_bytes(walker.read()?);
    if magic != 1995 {
        return Err(invalid(format!("found {magic} where each frame has 1995")));
    }
    let atoms = walker.size()?;
    walker.skip(4 + 4 + 36)?; // step, time, box
    if walker.size()? != atoms {
        return Err(invalid("two different numbers of atoms"));
    }
    if atoms <= 9 {
        walker.skip(12 * atoms)?;
    } else {
        walker.skip(4 + 12 + 12 + 4)?; // precision, smallest and largest integers, small index
        let bytes = walker.size()?;
        walker.skip(bytes.next_multiple_of(4))?;
    }
    Ok(Some(()))
}

/// GROMACS TRR (`gmx_trn_header`).
fn trr_frame(walker: &mut Walker) -> Step {
    let magic = i32::from_be_bytes(walker.read()?);
    if magic != 1993 {
        return Err(invalid(format!("found {magic} where each frame has 1993")));
    }
    walker.skip(4)?;
    let version = walker.size()?;
    walker.skip(version.next_multiple_of(4))?;
    let mut sizes = [0; 10]; // ir, e, box, virial, pressure, topology, symbols, x, v, f
    for size in &mut sizes {
        *size = walker.size()?;
    }
    let atoms = walker.size()?;
    walker.skip(8)?; // step, number of energies
    let [.., cell, _, _, _, _, x, v, f] = sizes;
    let real = if cell > 0 {
        cell / 9
    } else {
        x.max(v).max(f) / (3 * atoms).max(1)
    };
    walker.skip(2 * real)?; // time, lambda
    walker.skip(sizes.iter().sum())?;
    Ok(Some(()))
}

/// XYZ (count, comment, atoms) and GRO (title, count, atoms, box).
fn counted_lines(walker: &mut Walker, gro: bool) -> Step {
    let Some(mut first) = walker.line()? else {
        return Ok(None);
    };
    if gro {
        let Some(count) = walker.line()? else {
            return Ok(None);
        };
        first = count;
    } else if first.is_empty() {
        return Ok(None);
    }
    let atoms: usize = first
        .trim()
        .parse()
        .map_err(|_| invalid(format!("'{first}' where the number of atoms should be")))?;
    for line in 0..=atoms {
        let text = walker.needed_line()?;
        if line == 0 && !gro && text.contains("species:S:1:pos:R:3") && has_stray_equals(&text) {
            return Err(invalid(
                "the comment line has a value without a name (a space before '=')",
            ));
        }
    }
    Ok(Some(()))
}

/// An equals sign that no name precedes, outside quotes: chemfiles never ends on such an extended XYZ comment.
fn has_stray_equals(comment: &str) -> bool {
    let (mut quote, mut previous) = (None, ' ');
    for c in comment.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '=' && previous.is_ascii_whitespace() => return true,
            None if matches!(c, '"' | '\'')
                && (previous.is_ascii_whitespace() || previous == '=') =>
            {
                quote = Some(c)
            }
            None => {}
        }
        previous = c;
    }
    false
}

/// PDB: a frame ends with ENDMDL or END. Only a single structure may lack both. What follows the last frame (CONECT and END
/// records) is no frame, though chemfiles counts it as one.
fn pdb_frame(walker: &mut Walker, first: bool) -> Step {
    let (mut atoms, mut model) = (false, false);
    while let Some(line) = walker.line()? {
        // Columns are fixed: chemfiles refuses a line that lacks digits.
        walker.unterminated = false;
        if line.starts_with("ATOM  ") || line.starts_with("HETATM") {
            atoms = true;
        } else if line.starts_with("MODEL") {
            model = true;
        } else if line.starts_with("END") && (atoms || model) {
            return Ok(Some(()));
        }
    }
    match (atoms, model) {
        (false, false) => Ok(None),
        (true, false) if first => Ok(Some(())),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// LAMMPS text dump. Atom ids must be 1 to N in each frame.
fn lammps_frame(walker: &mut Walker) -> Step {
    let Some(mut line) = walker.line()? else {
        return Ok(None);
    };
    if line.is_empty() {
        return Ok(None);
    }
    if !line.starts_with("ITEM:") {
        return Err(invalid(format!("'{line}' where an ITEM line should be")));
    }
    while !line.starts_with("ITEM: NUMBER OF ATOMS") {
        line = walker.needed_line()?;
    }
    let count = walker.needed_line()?;
    let atoms: usize = count
        .trim()
        .parse()
        .map_err(|_| invalid(format!("'{count}' atoms")))?;
    while !line.starts_with("ITEM: ATOMS") {
        line = walker.needed_line()?;
    }
    let columns: Vec<&str> = line.split_whitespace().skip(2).collect();
    let id_column = columns.iter().position(|&name| name == "id");
    for _ in 0..atoms {
        let line = walker.needed_line()?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.len() != columns.len() {
            return Err(invalid(format!(
                "an atom line of {} fields for {} columns",
                fields.len(),
                columns.len()
            )));
        }
        if let Some(column) = id_column {
            let id = fields[column]
                .parse::<usize>()
                .ok()
                .filter(|id| (1..=atoms).contains(id));
            if id.is_none() {
                return Err(invalid(format!(
                    "atom id {} of {atoms} atoms; dump all atoms, or renumber them from 1",
                    fields[column]
                )));
            }
        }
    }
    Ok(Some(()))
}

#[cfg(test)]
#[path = "extent_tests.rs"]
mod tests;
