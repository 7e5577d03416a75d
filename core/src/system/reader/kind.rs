//! Which reader a file needs, by its name.

use std::path::Path;

use super::super::{SystemError, chem};

/// A format with a reader of our own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Xyz,
    Tinker,
    Gro,
    Pdb,
    Lammps,
    Xtc,
    Trr,
    Dcd,
    NetCdf,
    Mdcrd,
    Restart,
}

/// How the bytes of a text file are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Bzip2,
}

/// Who reads a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Own(Format, Packing),
    /// chemfiles, under the name it has for the format.
    Foreign(String),
}

impl Format {
    pub(super) fn name(self) -> String {
        match self {
            Self::Xyz => "XYZ",
            Self::Tinker => "Tinker",
            Self::Gro => "GRO",
            Self::Pdb => "PDB",
            Self::Lammps => "LAMMPS",
            Self::Xtc => "XTC",
            Self::Trr => "TRR",
            Self::Dcd => "DCD",
            Self::NetCdf => "Amber NetCDF",
            Self::Mdcrd => "Amber mdcrd",
            Self::Restart => "Amber restart",
        }
        .to_owned()
    }

    fn is_text(self) -> bool {
        matches!(
            self,
            Self::Xyz
                | Self::Tinker
                | Self::Gro
                | Self::Pdb
                | Self::Lammps
                | Self::Mdcrd
                | Self::Restart
        )
    }
}

impl Kind {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Own(format, _) => format.name(),
            Self::Foreign(format) => format.clone(),
        }
    }
}

/// Names that programs give these formats, beyond the one of chemfiles; compared without regard to case.
const EXTENSIONS: [(&str, Format); 22] = [
    ("xyz", Format::Xyz),
    ("extxyz", Format::Xyz),
    ("exyz", Format::Xyz),
    ("arc", Format::Tinker),
    ("txyz", Format::Tinker),
    ("gro", Format::Gro),
    ("pdb", Format::Pdb),
    ("ent", Format::Pdb),
    ("lammpstrj", Format::Lammps),
    ("lammpsdump", Format::Lammps),
    ("dump", Format::Lammps),
    ("xtc", Format::Xtc),
    ("trr", Format::Trr),
    ("dcd", Format::Dcd),
    ("nc", Format::NetCdf),
    ("ncdf", Format::NetCdf),
    ("ncrst", Format::NetCdf),
    ("netcdf", Format::NetCdf),
    ("mdcrd", Format::Mdcrd),
    ("crdbox", Format::Mdcrd),
    ("rst7", Format::Restart),
    ("inpcrd", Format::Restart),
];

/// The reader for a file of this name.
pub(super) fn kind_of(path: &Path) -> Result<Kind, SystemError> {
    let extension = |path: &Path| {
        path.extension()
            .and_then(|extension| extension.to_str())
            .map(str::to_ascii_lowercase)
    };
    let own = |path: &Path| {
        let name = extension(path)?;
        let found = EXTENSIONS.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    };
    if let Some(format) = own(path) {
        return Ok(Kind::Own(format, Packing::Plain));
    }
    if let Some(format) = own(Path::new(path.file_stem().unwrap_or_default())) {
        match (extension(path).as_deref(), format.is_text()) {
            (Some("gz"), true) => return Ok(Kind::Own(format, Packing::Gzip)),
            (Some("bz2"), true) => return Ok(Kind::Own(format, Packing::Bzip2)),
            (Some(other @ ("gz" | "bz2" | "xz" | "zst" | "zip" | "lzma")), is_text) => {
                let known = match is_text {
                    true => "any, plain or packed as .gz or .bz2",
                    false => "any, and text formats packed as .gz or .bz2",
                };
                return Err(SystemError::UnknownFormat {
                    path: path.to_owned(),
                    reason: format!(
                        "{} in {other} files is not unpacked here: unpack it first",
                        format.name()
                    ),
                    known: known.to_owned(),
                });
            }
            _ => {}
        }
    }
    chem::format_of(path)
        .map(Kind::Foreign)
        .map_err(|error| match error {
            SystemError::UnknownFormat {
                path,
                reason,
                known,
            } => {
                let mut all: Vec<&str> = known
                    .split(' ')
                    .map(|name| name.trim_start_matches('.'))
                    .collect();
                all.extend(EXTENSIONS.map(|(name, _)| name));
                all.sort_unstable();
                all.dedup();
                let known = all
                    .iter()
                    .map(|name| format!(".{name}"))
                    .collect::<Vec<_>>()
                    .join(" ");
                SystemError::UnknownFormat {
                    path,
                    reason,
                    known,
                }
            }
            error => error,
        })
}
