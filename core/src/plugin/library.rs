//! Opening a plugin library and checking its tables.

use super::error::LibraryError;
use abi_stable::library::{LibraryError as StableError, RawLibrary, lib_header_from_raw_library};
use regflow_plugin::abi::{
    ABI_MAJOR, ABI_MINOR, C_ENTRY, ENERGIES, EnergyList, EnergyTable, FlowTable, MAGIC,
    PluginTable, RootModuleRef, Str, TargetTable,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Text of a plugin's table.
pub(super) fn text(text: &Str) -> String {
    // SAFETY: tables live as long as the process, with their texts.
    unsafe { text.to_text() }
}

/// Whether `REGFLOW_PLUGIN_DEBUG` asks for a log of the search.
pub(super) fn debug(line: impl FnOnce() -> String) {
    if std::env::var_os("REGFLOW_PLUGIN_DEBUG")
        .is_some_and(|value| value != "0" && !value.is_empty())
    {
        eprintln!("regflow plugins: {}", line());
    }
}

/// A library's table with its parts, all checked.
#[derive(Clone, Copy)]
pub(super) struct Library {
    pub table: &'static PluginTable,
    energies: Option<&'static EnergyList>,
}

impl Library {
    /// Opens `path`, once per file.
    pub fn open(path: &Path) -> Result<Library, LibraryError> {
        static OPENED: Mutex<Option<HashMap<PathBuf, Library>>> = Mutex::new(None);
        let path = path.canonicalize().map_err(|_| LibraryError::Missing)?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = opened.get_or_insert_default();
        if let Some(library) = opened.get(&path) {
            return Ok(*library);
        }
        let raw = RawLibrary::load_at(&path).map_err(|error| LibraryError::Open {
            reason: match error {
                StableError::OpenError { err, .. } => describe(&*err),
                other => one_line(&other.to_string()),
            },
        })?;
        // Tables, and every tensor operation that a plugin started, may point into the library: it stays for good.
        let raw: &'static RawLibrary = Box::leak(Box::new(raw));
        let library = Library::of_table(find_table(raw)?)?;
        opened.insert(path, library);
        Ok(library)
    }

    /// Checks a table: version first, since nothing else can be trusted before.
    pub fn of_table(table: *const PluginTable) -> Result<Library, LibraryError> {
        if table.is_null() {
            return Err(LibraryError::Start {
                reason: "it returned no table".into(),
            });
        }
        let invalid = |table, field, expected: String, found: String| LibraryError::Table {
            table,
            field,
            expected,
            found,
        };
        // SAFETY: every version of the table starts with magic, size and version.
        let (magic, size, major, minor) = unsafe {
            (
                (*table).magic,
                (*table).struct_size,
                (*table).abi_major,
                (*table).abi_minor,
            )
        };
        if magic != MAGIC {
            return Err(invalid(
                "plugin table",
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
        check_size::<PluginTable>("plugin table", size)?;
        // SAFETY: of this version and complete.
        let get_extension = unsafe {
            (&raw const (*table).get_extension)
                .cast::<*const u8>()
                .read()
        };
        if get_extension.is_null() {
            let (expected, found) = ("not null".into(), "null".into());
            return Err(invalid("plugin table", "get_extension", expected, found));
        }
        // SAFETY: of this version and complete; plugins keep it for the life of the process.
        let table = unsafe { &*table };
        // SAFETY: the function belongs to the table, the name outlives the call, and the result is a list of this name or null.
        let energies = unsafe {
            (table.get_extension)(Str::new(ENERGIES))
                .cast::<EnergyList>()
                .as_ref()
        };
        let library = Library { table, energies };
        for flow in library.entries(table.flows, table.n_flows) {
            let flow: &FlowTable = flow.ok_or_else(|| {
                invalid("flow table", "address", "not null".into(), "null".into())
            })?;
            check_size::<FlowTable>("flow table", flow.struct_size)?;
        }
        for target in library.entries(table.targets, table.n_targets) {
            let target: &TargetTable = target.ok_or_else(|| {
                invalid("target table", "address", "not null".into(), "null".into())
            })?;
            check_size::<TargetTable>("target table", target.struct_size)?;
        }
        if let Some(list) = energies {
            check_size::<EnergyList>("list of energies", list.struct_size)?;
            for energy in library.entries(list.energies, list.n_energies) {
                let energy: &EnergyTable = energy.ok_or_else(|| {
                    invalid("energy table", "address", "not null".into(), "null".into())
                })?;
                check_size::<EnergyTable>("energy table", energy.struct_size)?;
            }
        }
        Ok(library)
    }

    fn entries<T: 'static>(
        &self,
        tables: *const *const T,
        n: u64,
    ) -> impl Iterator<Item = Option<&'static T>> {
        let n = if tables.is_null() { 0 } else { n as usize };
        // SAFETY: the plugin vouches for `n` pointers, each null or valid for the life of the process.
        (0..n).map(move |place| unsafe { (*tables.add(place)).as_ref() })
    }

    /// Its flows.
    pub fn flows(&self) -> impl Iterator<Item = &'static FlowTable> {
        self.entries(self.table.flows, self.table.n_flows).flatten()
    }

    /// Its target sources.
    pub fn targets(&self) -> impl Iterator<Item = &'static TargetTable> {
        self.entries(self.table.targets, self.table.n_targets)
            .flatten()
    }

    /// Its energy sources.
    pub fn energies(&self) -> impl Iterator<Item = &'static EnergyTable> {
        let entries = |list: &EnergyList| self.entries(list.energies, list.n_energies).flatten();
        self.energies.into_iter().flat_map(entries)
    }

    /// Its own version.
    pub fn version(&self) -> String {
        text(&self.table.version)
    }
}

fn check_size<T>(table: &'static str, found: u64) -> Result<(), LibraryError> {
    if found == size_of::<T>() as u64 {
        return Ok(());
    }
    Err(LibraryError::Table {
        table,
        field: "struct_size",
        expected: size_of::<T>().to_string(),
        found: found.to_string(),
    })
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
