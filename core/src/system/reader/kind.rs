//! Which reader a file needs, by its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

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

/// How the bytes of a file are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::system) enum Packing {
    Plain,
    Gzip,
    Bzip2,
}

/// Who reads a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Own(Format, Packing),
    /// chemfiles, under the name it has for the format.
    Foreign(String, Packing),
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
            Self::Foreign(format, _) => format.clone(),
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

/// A file's name without what says how it is packed, and how that is.
pub(in crate::system) fn unpacked_name(path: &Path) -> Result<(PathBuf, Packing), SystemError> {
    let packing = match extension(path).as_deref() {
        Some("gz") => Packing::Gzip,
        Some("bz2") => Packing::Bzip2,
        Some(other @ ("xz" | "zst" | "zip" | "lzma")) => {
            return Err(SystemError::UnknownFormat {
                path: path.to_owned(),
                reason: format!("{other} files are not unpacked here: unpack it first"),
                known: "any, plain, or text packed as .gz or .bz2".to_owned(),
            });
        }
        _ => return Ok((path.to_owned(), Packing::Plain)),
    };
    Ok((path.with_extension(""), packing))
}

fn extension(path: &Path) -> Option<String> {
    path.extension()?.to_str().map(str::to_ascii_lowercase)
}

impl Packing {
    /// The bytes of a file as they were before it was packed.
    pub(in crate::system) fn open(self, path: &Path) -> io::Result<Box<dyn BufRead>> {
        let file = BufReader::with_capacity(1 << 16, File::open(path)?);
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
            Self::Bzip2 => Box::new(BufReader::new(bzip2::bufread::MultiBzDecoder::new(file))),
        })
    }

    /// The same in a temporary file of the name's last part, for a reader that takes files only; `None` of a plain one.
    pub(in crate::system) fn unpack(self, path: &Path) -> io::Result<Option<TempPath>> {
        if self == Self::Plain {
            return Ok(None);
        }
        let name = path.file_stem().unwrap_or_default();
        let mut file = tempfile::Builder::new()
            .suffix(&format!(".{}", name.display()))
            .tempfile()?;
        io::copy(&mut self.open(path)?, &mut file)?;
        Ok(Some(file.into_temp_path()))
    }
}

/// The reader for a file of this name.
pub(super) fn kind_of(path: &Path) -> Result<Kind, SystemError> {
    let (bare, packing) = unpacked_name(path)?;
    let name = extension(&bare);
    let own = EXTENSIONS
        .iter()
        .find(|(known, _)| Some(*known) == name.as_deref());
    if let Some(&(_, format)) = own {
        if packing != Packing::Plain && !format.is_text() {
            return Err(SystemError::UnknownFormat {
                path: path.to_owned(),
                reason: format!(
                    "{} files are not unpacked here: unpack it first",
                    format.name()
                ),
                known: "any, plain, or text packed as .gz or .bz2".to_owned(),
            });
        }
        return Ok(Kind::Own(format, packing));
    }
    chem::format_of(&bare)
        .map(|format| Kind::Foreign(format, packing))
        .map_err(|error| match error {
            SystemError::UnknownFormat { reason, known, .. } => {
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
                    path: path.to_owned(),
                    reason,
                    known,
                }
            }
            error => error,
        })
}
