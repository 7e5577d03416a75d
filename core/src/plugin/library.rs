//! Opening a plugin library and checking its tables.

use super::error::LibraryError;
use super::kind::{AnyPlugin, RawTable, Registered, text};
use super::{KINDS, Origin};
use abi_stable::library::{LibraryError as StableError, RawLibrary, lib_header_from_raw_library};
use regflow_plugin::abi::{
    ABI_MAJOR, ABI_MINOR, C_ENTRY, KindList, MAGIC, PluginTable, RootModuleRef,
};
use std::ffi::c_void;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The symbol of plugins written in Rust, as abi_stable defines it; `export!` has it as well.
const RUST_ENTRY: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// Whether `REGFLOW_PLUGIN_DEBUG` asks for a log of the search.
pub(super) fn debug(line: impl FnOnce() -> String) {
    if std::env::var_os("REGFLOW_PLUGIN_DEBUG")
        .is_some_and(|value| value != "0" && !value.is_empty())
    {
        eprintln!("regflow plugins: {}", line());
    }
}

/// A library's tables, all checked.
pub(super) struct Library {
    version: String,
    tables: Vec<(&'static Registered, RawTable)>,
}

/// Every library that was opened, by its path.
static OPENED: Mutex<Vec<(PathBuf, Arc<Library>)>> = Mutex::new(Vec::new());

impl Library {
    /// Opens `path`, once per file. A file that cannot be a plugin is not even loaded, for loading runs code.
    pub fn open(path: &Path) -> Result<Arc<Library>, LibraryError> {
        let path = path.canonicalize().map_err(|_| LibraryError::Missing)?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, library)) = opened.iter().find(|(known, _)| *known == path) {
            return Ok(Arc::clone(library));
        }
        let readable = |error: std::io::Error| LibraryError::Open {
            reason: one_line(&error.to_string()),
        };
        if !names_an_entry(File::open(&path).map_err(readable)?).map_err(readable)? {
            return Err(LibraryError::NotAPlugin);
        }
        let raw = RawLibrary::load_at(&path).map_err(|error| LibraryError::Open {
            reason: match error {
                StableError::OpenError { err, .. } => describe(&*err),
                other => one_line(&other.to_string()),
            },
        })?;
        // Tables, and every tensor operation that a plugin started, may point into the library: it stays for good.
        let raw: &'static RawLibrary = Box::leak(Box::new(raw));
        // SAFETY: what an entry point returns is a plugin's table.
        let library = Arc::new(unsafe { Library::of_table(find_table(raw)?) }?);
        opened.push((path, Arc::clone(&library)));
        Ok(library)
    }

    /// Those that were opened before, in their order.
    pub fn opened() -> Vec<(PathBuf, Arc<Library>)> {
        let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clone()
    }

    /// Checks a table: version first, since nothing else can be trusted before.
    ///
    /// # Safety
    /// Null, or a table of any version of the interface that lives as long as the process.
    pub unsafe fn of_table(table: *const PluginTable) -> Result<Library, LibraryError> {
        if table.is_null() {
            return Err(LibraryError::Start {
                reason: "it returned no table".into(),
            });
        }
        // SAFETY: every version of the table starts with magic, size and version.
        let (magic, size, major, minor) = unsafe {
            (
                (&raw const (*table).magic).read(),
                (&raw const (*table).struct_size).read(),
                (&raw const (*table).abi_major).read(),
                (&raw const (*table).abi_minor).read(),
            )
        };
        let invalid = |field, expected: String, found: String| LibraryError::Table {
            table: "plugin",
            field,
            expected,
            found,
        };
        if magic != MAGIC {
            return Err(invalid(
                "magic",
                format!("{MAGIC:#x}"),
                format!("{magic:#x}"),
            ));
        }
        if major != ABI_MAJOR {
            return Err(LibraryError::Version {
                expected: format!("{ABI_MAJOR}.{ABI_MINOR}"),
                found: format!("{major}.{minor}"),
            });
        }
        let expected = size_of::<PluginTable>() as u64;
        if size != expected {
            return Err(invalid(
                "struct_size",
                expected.to_string(),
                size.to_string(),
            ));
        }
        // SAFETY: complete, and of this version.
        let table = unsafe { &*table };
        let mut tables = Vec::new();
        // SAFETY: the plugin vouches for its lists.
        let lists: &[KindList] = unsafe { slice(table.kinds, table.n_kinds) };
        for list in lists {
            let Some(kind) = KINDS.iter().find(|kind| kind.code == list.kind) else {
                debug(|| format!("{}: kind {} is unknown", text(&table.name), list.kind));
                continue;
            };
            // SAFETY: as above.
            for &entry in unsafe { slice::<*const c_void>(list.tables, list.n_tables) } {
                // SAFETY: the list says that it is a table of this kind.
                tables.push((kind, unsafe { kind.read(entry) }?));
            }
        }
        Ok(Library {
            version: text(&table.version),
            tables,
        })
    }

    /// Everything in it.
    pub fn plugins(&self, origin: Origin) -> impl Iterator<Item = AnyPlugin> + use<'_> {
        let tables = self.tables.iter();
        tables.map(move |(kind, table)| AnyPlugin::new(kind, *table, &self.version, origin.clone()))
    }
}

/// # Safety
/// `values` is null or has `n` values, for the life of the process.
unsafe fn slice<T>(values: *const T, n: u64) -> &'static [T] {
    if values.is_null() || n == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(values, n as usize) }
}

/// Whether one of the entry points is named anywhere in a file, as the symbols of a library are.
fn names_an_entry(mut file: impl Read) -> std::io::Result<bool> {
    let longest = RUST_ENTRY.len().max(C_ENTRY.len());
    let mut block = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let read = file.read(&mut block[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        let text = &block[..filled];
        if [RUST_ENTRY, C_ENTRY]
            .iter()
            .any(|name| contains(text, name.as_bytes()))
        {
            return Ok(true);
        }
        // A name may lie across two reads.
        kept = filled.min(longest - 1);
        block.copy_within(filled - kept..filled, 0);
    }
}

/// Whether `text` contains `name`. Looks for the name's first letter only, which no text is full of.
fn contains(text: &[u8], name: &[u8]) -> bool {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|&byte| byte == name[0]) {
        rest = &rest[place..];
        if rest.starts_with(name) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Rust plugins have an abi_stable root module, C plugins one plain symbol.
fn find_table(raw: &'static RawLibrary) -> Result<*const PluginTable, LibraryError> {
    // SAFETY: the library is never unloaded.
    match unsafe { lib_header_from_raw_library(raw) } {
        Ok(header) => {
            let root = header
                .init_root_module::<RootModuleRef>()
                .map_err(root_error)?;
            Ok(root.table()())
        }
        Err(StableError::GetSymbolError { .. }) => {
            type Entry = unsafe extern "C" fn() -> *const PluginTable;
            // SAFETY: a symbol of this name has this type by the interface's definition.
            let entry = unsafe { raw.get::<Entry>(C_ENTRY.as_bytes()) };
            let entry = entry.map_err(|_| LibraryError::NotAPlugin)?;
            // SAFETY: as above.
            Ok(unsafe { entry() })
        }
        Err(error) => Err(root_error(error)),
    }
}

/// One sentence for what abi_stable reports in pages; these go to the debug log.
fn root_error(error: StableError) -> LibraryError {
    let version = format!("{ABI_MAJOR}.{ABI_MINOR}");
    match error {
        StableError::IncompatibleVersionNumber { actual_version, .. } => LibraryError::Version {
            expected: version,
            found: format!("{}.{}", actual_version.major, actual_version.minor),
        },
        StableError::InvalidAbiHeader(found) => {
            let own = abi_stable::library::AbiHeader::VALUE;
            LibraryError::AbiStable {
                expected: format!("{}.{}", own.abi_major, own.abi_minor),
                found: format!("{}.{}", found.abi_major, found.abi_minor),
            }
        }
        StableError::AbiInstability(report) => {
            debug(|| format!("layout report:\n{report}"));
            LibraryError::Layout { version }
        }
        other => LibraryError::Start {
            reason: one_line(&other.to_string()),
        },
    }
}

/// The loader's own words are in the source of the error.
fn describe(error: &dyn std::error::Error) -> String {
    let words = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    one_line(&words)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_wherever_they_lie() {
        let block = 1 << 20;
        for before in [
            0,
            17,
            block - 40,
            block - 20,
            block - 1,
            block,
            2 * block - 10,
        ] {
            for name in [RUST_ENTRY, C_ENTRY] {
                let mut bytes = vec![b'_'; before];
                bytes.extend(name.bytes());
                assert!(names_an_entry(&*bytes).unwrap(), "{name} after {before}");
                bytes.pop();
                assert!(!names_an_entry(&*bytes).unwrap());
                bytes.extend(vec![0; block]);
                assert!(!names_an_entry(&*bytes).unwrap());
            }
        }
    }
}
