//! Shared libraries of engines, opened at run time: where they are looked for, and what is said when they are not there; and
//! calls of them, whose C++ exceptions come back as errors.

mod guard;

pub use guard::{Exception, guarded};
use libloading::Library;
use std::env::consts::DLL_SUFFIX;
use std::fmt;
use std::path::{Path, PathBuf};

/// An engine's shared library.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Name of the engine.
    pub name: &'static str,
    /// Name of the library without `lib` and the platform's extension.
    pub library: &'static str,
    /// Environment variable that names the library, its folder, or the Python environment that has it.
    pub variable: &'static str,
    /// Folder within Python's `site-packages`.
    pub package: &'static str,
    /// Library that the engine needs, and that a Python environment has in its folder `lib`, where the loader does not look.
    pub needs: Option<&'static str>,
    /// How to install the engine.
    pub remedy: &'static str,
}

/// Why an engine cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The library is nowhere, or cannot be opened.
    #[error(
        "no shared library of {engine} that can be used. Looked at:{}\n{remedy}; or let the environment variable {variable} name the \
         library, its folder, or the Python environment that has it",
        List(candidates)
    )]
    Missing {
        /// The engine.
        engine: &'static str,
        /// Every place, with the reason why it was not taken.
        candidates: Vec<Candidate>,
        /// How to install it.
        remedy: &'static str,
        /// The environment variable.
        variable: &'static str,
    },
    /// The library lacks a function.
    #[error("{} has no function `{function}`: another version of {engine} is needed; {remedy}", path.display())]
    Function {
        /// The engine.
        engine: &'static str,
        /// The library.
        path: PathBuf,
        /// The function.
        function: &'static str,
        /// How to install a newer one.
        remedy: &'static str,
    },
}

/// A place where a library was looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The file, or the name given to the system's loader.
    pub file: PathBuf,
    /// Why it was not taken.
    pub reason: String,
}

struct List<'a>(&'a [Candidate]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.iter();
        lines.try_for_each(|c| write!(f, "\n  {}: {}", c.file.display(), c.reason))
    }
}

/// An open library. It is never closed: engines keep threads and exit handlers.
#[derive(Clone, Copy, Debug)]
pub struct EngineLibrary {
    engine: &'static Engine,
    library: &'static Library,
    path: &'static Path,
}

impl Engine {
    /// Opens the library: the one that the environment variable names; without it that of the active Python environment
    /// (`VIRTUAL_ENV`, `CONDA_PREFIX`), then the one that the system's loader finds.
    ///
    /// # Errors
    /// [`EngineError::Missing`] with every place looked at.
    pub fn open(&'static self) -> Result<EngineLibrary, EngineError> {
        let named = std::env::var_os(self.variable).filter(|value| !value.is_empty());
        let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].map(std::env::var_os);
        let environments: Vec<PathBuf> =
            environments.into_iter().flatten().map(Into::into).collect();
        self.open_among(self.candidates(named.map(PathBuf::from).as_deref(), &environments))
    }

    fn open_among(&'static self, files: Vec<PathBuf>) -> Result<EngineLibrary, EngineError> {
        let mut candidates = Vec::new();
        for file in files {
            let is_name = file.parent() == Some(Path::new(""));
            let result = match is_name || file.is_file() {
                true => self.open_file(&file),
                false => Err("no such file".into()),
            };
            match result {
                Ok(library) => {
                    return Ok(EngineLibrary {
                        engine: self,
                        library: Box::leak(Box::new(library)),
                        path: Box::leak(file.into_boxed_path()),
                    });
                }
                Err(reason) => candidates.push(Candidate { file, reason }),
            }
        }
        Err(EngineError::Missing {
            engine: self.name,
            candidates,
            remedy: self.remedy,
            variable: self.variable,
        })
    }

    fn candidates(&self, named: Option<&Path>, environments: &[PathBuf]) -> Vec<PathBuf> {
        let file = format!("lib{}{DLL_SUFFIX}", self.library);
        let Some(named) = named else {
            let inside = environments
                .iter()
                .flat_map(|root| self.in_environment(root, &file));
            return inside.chain([file.clone().into()]).collect();
        };
        if named.is_dir() {
            let mut files = vec![named.join(&file)];
            files.extend(self.in_environment(named, &file));
            return files;
        }
        vec![named.into()]
    }

    /// Where a Python environment has the library.
    fn in_environment(&self, root: &Path, file: &str) -> Vec<PathBuf> {
        let lib = root.join("lib");
        let entries = std::fs::read_dir(&lib).into_iter().flatten().flatten();
        let mut pythons: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .map(|entry| {
                entry
                    .path()
                    .join("site-packages")
                    .join(self.package)
                    .join(file)
            })
            .collect();
        pythons.sort();
        pythons.push(lib.join(file));
        pythons
    }

    fn open_file(&self, file: &Path) -> Result<Library, String> {
        // SAFETY: the user names the library or installed it; its initialisers are the engine's.
        let open = |file: &Path| unsafe { Library::new(file) };
        let first = match open(file) {
            Ok(library) => return Ok(library),
            Err(error) => error,
        };
        // A second time with what it needs; that one must not be opened where the process has it already.
        let folders = file.ancestors().filter(|folder| folder.ends_with("lib"));
        let needed = folders
            .filter_map(|folder| Some(folder.join(self.needs?)))
            .find(|needed| needed.is_file());
        let result = match needed.map(|needed| open(&needed)) {
            Some(Ok(needed)) => {
                std::mem::forget(needed);
                open(file)
            }
            _ => Err(first),
        };
        result.map_err(|error| describe(&error))
    }
}

impl EngineLibrary {
    /// The file.
    pub fn path(&self) -> &'static Path {
        self.path
    }

    /// Whether the library, or one that it needs, has the symbol.
    pub fn has(&self, symbol: &str) -> bool {
        // SAFETY: only the address is looked up.
        unsafe { self.library.get::<*const ()>(symbol) }.is_ok()
    }

    /// The function or object `name`.
    ///
    /// # Safety
    /// `T` is a function pointer of the function's type, or a pointer to the object.
    ///
    /// # Errors
    /// [`EngineError::Function`].
    pub unsafe fn get<T: Copy>(&self, name: &'static str) -> Result<T, EngineError> {
        // SAFETY: by contract.
        let symbol = unsafe { self.library.get::<T>(name) };
        symbol
            .map(|symbol| *symbol)
            .map_err(|_| EngineError::Function {
                engine: self.engine.name,
                path: self.path.into(),
                function: name,
                remedy: self.engine.remedy,
            })
    }
}

/// The loader's own words are in the source of the error.
fn describe(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error);
    let words = source.map_or_else(|| error.to_string(), ToString::to_string);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Defines a table of an engine's C functions, with `load(&EngineLibrary)`. Their types must be those of the engine's header.
#[macro_export]
macro_rules! functions {
    ($(#[$doc:meta])* pub $name:ident { $($function:ident: fn($($argument:ty),* $(,)?) $(-> $result:ty)?;)* }) => {
        $(#[$doc])*
        #[allow(non_snake_case)]
        pub struct $name {
            $(pub $function: unsafe extern "C-unwind" fn($($argument),*) $(-> $result)?,)*
        }

        impl $name {
            pub fn load(library: &$crate::EngineLibrary) -> Result<Self, $crate::EngineError> {
                // SAFETY: the types are those of the engine's header.
                unsafe { Ok($name { $($function: library.get(stringify!($function))?,)* }) }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_exceptions_give_their_results() {
        assert_eq!(guarded(|| 7), Ok(7));
    }

    static ENGINE: Engine = Engine {
        name: "Engine",
        library: "engine",
        variable: "REGFLOW_TEST_ENGINE_LIB",
        package: "engine.libs",
        needs: None,
        remedy: "install it",
    };

    #[test]
    fn places_come_in_their_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().to_path_buf();
        std::fs::create_dir_all(root.join("lib/python3.11/site-packages")).unwrap();
        let file = format!("libengine{DLL_SUFFIX}");
        let inside = [
            root.join("lib/python3.11/site-packages/engine.libs")
                .join(&file),
            root.join("lib").join(&file),
        ];
        let found = ENGINE.candidates(None, std::slice::from_ref(&root));
        assert_eq!(
            found,
            [inside[0].clone(), inside[1].clone(), file.clone().into()]
        );
        // The variable alone counts where it is set.
        let found = ENGINE.candidates(Some(&root), &[]);
        assert_eq!(
            found,
            [root.join(&file), inside[0].clone(), inside[1].clone()]
        );
        let found = ENGINE.candidates(Some(Path::new("/nowhere/x.so")), &[root]);
        assert_eq!(found, [PathBuf::from("/nowhere/x.so")]);
    }

    #[test]
    fn a_missing_engine_tells_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libengine.so");
        std::fs::write(&text, "not a library").unwrap();
        let error = ENGINE
            .open_among(vec!["/nowhere/x.so".into(), text.clone()])
            .unwrap_err();
        let message = error.to_string();
        for part in [
            "/nowhere/x.so: no such file",
            "libengine.so: ",
            "install it",
            "REGFLOW_TEST_ENGINE_LIB",
        ] {
            assert!(message.contains(part), "{message}");
        }
        let EngineError::Missing { candidates, .. } = error else {
            panic!("{message}");
        };
        assert_eq!(candidates[1].file, text);
        assert_ne!(candidates[1].reason, "no such file");
    }
}
