//! Force-field files of other programs, which are no potentials yet: recognised, so that the way to one can be told.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file that are looked at.
const HEAD: u64 = 1 << 16;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// AMBER's parameter and topology file (`.prmtop`, `.parm7`).
    Amber,
    /// GROMACS's topology (`.top`, `.itp`).
    Gromacs,
    /// The protein structure file of CHARMM, NAMD and X-PLOR (`.psf`).
    Charmm,
}

impl ForeignFormat {
    /// The format of a file, by what it begins with, or by its name where it cannot be read or tells nothing.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut head = Vec::new();
        if let Ok(file) = File::open(path) {
            // What cannot be read is judged by its name.
            let _ = file.take(HEAD).read_to_end(&mut head);
        }
        let text = String::from_utf8_lossy(&head);
        Self::of_content(&text).or_else(|| {
            if text.trim_start().starts_with('<') {
                return None;
            }
            let extension = path.extension()?.to_str()?.to_ascii_lowercase();
            match extension.as_str() {
                "prmtop" | "parm7" | "parm" => Some(Self::Amber),
                "top" | "itp" => Some(Self::Gromacs),
                "psf" => Some(Self::Charmm),
                _ => None,
            }
        })
    }

    fn of_content(text: &str) -> Option<Self> {
        let start = text.trim_start_matches('\u{feff}').trim_start();
        if start.starts_with("%VERSION") || start.contains("%FLAG POINTERS") {
            return Some(Self::Amber);
        }
        if start.split_whitespace().next() == Some("PSF") {
            return Some(Self::Charmm);
        }
        let gromacs = start.lines().map(str::trim).any(|line| {
            let directive = line
                .strip_prefix('[')
                .and_then(|rest| rest.split(']').next());
            directive.is_some_and(|name| {
                let sections = [
                    "defaults",
                    "moleculetype",
                    "atomtypes",
                    "system",
                    "molecules",
                ];
                sections.contains(&name.trim())
            }) || line.starts_with("#include") && line.contains(".itp")
        });
        gromacs.then_some(Self::Gromacs)
    }

    /// The lines of Python that make a System XML of the file, for OpenMM 8.
    fn lines(self, path: &Path) -> [String; 4] {
        let name = path.display();
        let (read, create) = match self {
            Self::Amber => (
                format!("top = app.AmberPrmtopFile({:?})", name.to_string()),
                "top.createSystem(nonbondedMethod=app.NoCutoff, implicitSolvent=app.OBC2)",
            ),
            Self::Gromacs => (
                format!(
                    "top = app.GromacsTopFile({:?}, includeDir=\"/usr/share/gromacs/top\")",
                    name.to_string()
                ),
                "top.createSystem(nonbondedMethod=app.NoCutoff)",
            ),
            Self::Charmm => (
                format!("top = app.CharmmPsfFile({:?})", name.to_string()),
                "top.createSystem(app.CharmmParameterSet(\"top_all36_prot.rtf\", \"par_all36m_prot.prm\"), nonbondedMethod=app.NoCutoff)",
            ),
        };
        [
            "from openmm import app, XmlSerializer".into(),
            read,
            format!("system = {create}"),
            "open(\"system.xml\", \"w\").write(XmlSerializer.serialize(system))".into(),
        ]
    }

    /// What to do about the file.
    pub(super) fn cure(self, path: &Path) -> String {
        let remark = match self {
            Self::Amber => "leave implicitSolvent out for a molecule in vacuum",
            Self::Gromacs => "with the folder of your force fields",
            Self::Charmm => "with the parameter files that the structure was built with",
        };
        format!(
            "make an OpenMM System XML of it, once, in Python with OpenMM ({remark}), and give that:\n    {}",
            self.lines(path).join("\n    ")
        )
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amber => "an AMBER parameter file",
            Self::Gromacs => "a GROMACS topology",
            Self::Charmm => "a CHARMM protein structure file",
        })
    }
}

#[cfg(test)]
mod tests {

    #[test]
    fn files_of_other_programs_get_the_lines_that_convert_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let amber = "%VERSION  VERSION_STAMP = V0001.000  DATE = 05/01/24\n%FLAG TITLE\n";
        let gromacs = "; made by pdb2gmx\n#include \"amber99sb-ildn.ff/forcefield.itp\"\n\n[ moleculetype ]\nProtein 3\n";
        let charmm = "PSF EXT CMAP\n\n         2 !NTITLE\n";
        for (name, text, words) in [
            ("a.prmtop", amber, "AmberPrmtopFile"),
            ("a.txt", amber, "AmberPrmtopFile"),
            ("topol.top", gromacs, "GromacsTopFile"),
            ("topol.txt", gromacs, "GromacsTopFile"),
            // AMBER's tools write `.top` as well.
            ("amber.top", amber, "AmberPrmtopFile"),
            ("a.psf", charmm, "CharmmPsfFile"),
            ("a.xml", charmm, "CharmmPsfFile"),
            ("cut.psf", "", "CharmmPsfFile"),
        ] {
            let error = crate::potential::load(write(name, text).to_str().unwrap());
            let error = error.err().unwrap().to_string();
            for part in [
                name,
                words,
                "createSystem",
                "XmlSerializer.serialize(system)",
            ] {
                assert!(error.contains(part), "{name}: {error}");
            }
            assert_eq!(error.lines().count(), 5, "{error}");
        }
        // Files that are meant to be a System keep the errors of one.
        for (name, text) in [
            ("s.xml", "<System/>"),
            ("s.top", "<?xml version=\"1.0\"?><Sys"),
            ("s.dat", "hello"),
        ] {
            let error = crate::potential::load(write(name, text).to_str().unwrap());
            let error = error.err().unwrap().to_string();
            assert!(
                !error.contains("XmlSerializer.serialize("),
                "{name}: {error}"
            );
        }
    }
}
