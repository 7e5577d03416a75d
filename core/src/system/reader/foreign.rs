//! What chemfiles reads for us: formats of single structures, mostly.

use std::path::Path;

use tempfile::TempPath;

use super::kind::Packing;
use super::{Fault, Label, RawFrame, Reader};
use crate::system::{NM_PER_ANGSTROM, SystemError, chem};

pub(super) struct Foreign {
    trajectory: chemfiles::Trajectory,
    frame: chemfiles::Frame,
    n_atoms: usize,
    /// What chemfiles calls the type of an atom is its element.
    elements: bool,
    next: usize,
    n_frames: usize,
    warnings: Vec<String>,
    /// Keeps a file that was unpacked for chemfiles.
    _unpacked: Option<TempPath>,
}

impl Foreign {
    pub(super) fn open(
        path: &Path,
        format: &str,
        packing: Packing,
        n_atoms: usize,
    ) -> Result<Self, SystemError> {
        let refused = |reason| SystemError::Format {
            path: path.to_owned(),
            format: format.to_owned(),
            reason,
        };
        let failed = |source| SystemError::Read {
            path: path.to_owned(),
            source,
        };
        // The readers of chemfiles do not notice the end of a packed file that was cut off.
        let unpacked = packing.unpack(path).map_err(failed)?;
        let file = unpacked.as_deref().unwrap_or(path);
        let mut warnings = Vec::new();
        let (trajectory, n_frames) = chem::call(&mut warnings, || {
            let mut trajectory = chemfiles::Trajectory::open_with_format(file, 'r', format)?;
            let n_frames = trajectory.nsteps();
            Ok((trajectory, n_frames))
        })
        .map_err(refused)?;
        if let Some(expected) = molecules(file, format).map_err(failed)?
            && expected != n_frames
        {
            return Err(refused(format!(
                "it holds {expected} molecules, of which chemfiles finds {n_frames}; a blank line may be in the way"
            )));
        }
        Ok(Self {
            trajectory,
            frame: chemfiles::Frame::new(),
            n_atoms,
            // MOL2 has types of a force field, in which "ca" is an aromatic carbon.
            elements: format != "MOL2",
            next: 0,
            n_frames,
            warnings,
            _unpacked: unpacked,
        })
    }
}

/// Molecules of formats whose readers in chemfiles stop at a blank line, counted by what begins or ends each.
fn molecules(path: &Path, format: &str) -> std::io::Result<Option<usize>> {
    let mark = match format {
        "MOL2" => "@<TRIPOS>MOLECULE",
        "SDF" => "$$$$",
        _ => return Ok(None),
    };
    let mut lines = super::text::Lines::open(path, Packing::Plain)?;
    let mut count = 0;
    loop {
        match lines.advance() {
            Ok(true) => count += usize::from(lines.text().starts_with(mark)),
            Ok(false) => break,
            Err(Fault::Io(error)) => return Err(error),
            // No text: chemfiles says what is wrong.
            Err(_) => return Ok(None),
        }
    }
    // A single molecule may lack the mark at its end.
    Ok((count > 1).then_some(count))
}

impl Reader for Foreign {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if self.next == self.n_frames {
            return Ok(false);
        }
        let step = self.next;
        self.next += 1;
        let Some(frame) = frame else {
            return Ok(true);
        };
        let (trajectory, source) = (&mut self.trajectory, &mut self.frame);
        frame.clear();
        chem::call(&mut self.warnings, || trajectory.read_step(step, source))
            .map_err(Fault::Damaged)?;
        if source.size() != self.n_atoms {
            return Err(Fault::Count(source.size()));
        }
        frame.cell = {
            let cell = source.cell();
            let matrix = cell.matrix();
            // chemfiles stores the cell vectors as columns.
            let vectors =
                [0, 1, 2].map(|i| [0, 1, 2].map(|axis| matrix[axis][i] * NM_PER_ANGSTROM));
            (cell.shape() != chemfiles::CellShape::Infinite)
                .then(|| super::cell::checked(vectors))
                .flatten()
        };
        let positions = source.positions().iter().flatten();
        frame
            .positions
            .extend(positions.map(|x| x * NM_PER_ANGSTROM));
        let (source, elements) = (&*source, self.elements);
        // chemfiles warns of properties that are not there.
        let labels = chem::call(&mut Vec::new(), || {
            Ok((0..source.size())
                .map(|atom| {
                    let atom = source.atom(atom);
                    let (name, kind) = (atom.name(), atom.atomic_type());
                    let element = if kind == name || !elements {
                        String::new()
                    } else {
                        kind
                    };
                    Label { name, element }
                })
                .collect())
        });
        frame.labels = labels.map_err(Fault::Damaged)?;
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
