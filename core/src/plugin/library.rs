//! Opening a plugin library and checking its tables.

use super::error::LibraryError;
use abi_stable::library::{LibraryError as StableError, RawLibrary, lib_header_from_raw_library};
use regflow_plugin::abi::{
    ABI_MAJOR, ABI_MINOR, C_ENTRY, ENERGIES, EnergyList, EnergyTable, FlowTable, MAGIC,
    PluginTable, RootModuleRef, Str, TargetTable,
};
use std::collections::HashMap;
use std::mem::offset_of;
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

/// A table that plugins make, with the places of what is checked in it.
trait Table {
    /// In messages.
    const NAME: &'static str;
    /// Where its size is told.
    const SIZE: usize;
    /// Its functions, none of which may be null.
    const FUNCTIONS: &'static [(&'static str, usize)];
}

macro_rules! table {
    ($table:ty, $name:literal, [$($function:ident),*]) => {
        impl Table for $table {
            const NAME: &'static str = $name;
            const SIZE: usize = offset_of!($table, struct_size);
            const FUNCTIONS: &'static [(&'static str, usize)] =
                &[$((stringify!($function), offset_of!($table, $function))),*];
        }
    };
}
table!(PluginTable, "plugin table", [get_extension]);
table!(
    FlowTable,
    "flow table",
    [create, destroy, forward, inverse, get_extension]
);
table!(
    TargetTable,
    "target table",
    [create, destroy, pair, get_extension]
);
table!(EnergyList, "list of energies", []);
table!(
    EnergyTable,
    "energy table",
    [create, destroy, n_atoms, masses, compute, get_extension]
);

/// The table, once its size and functions are known to be right: a null function has no Rust value.
///
/// # Safety
/// Null, or a table of this version of the interface that lives as long as the process, as far as its `struct_size` says.
unsafe fn check<T: Table>(table: *const T) -> Result<&'static T, LibraryError> {
    let invalid = |field, expected: String, found: String| LibraryError::Table {
        table: T::NAME,
        field,
        expected,
        found,
    };
    let null = |field| invalid(field, "not null".into(), "null".into());
    if table.is_null() {
        return Err(null("address"));
    }
    // SAFETY: by contract; every table has its size.
    let size = unsafe { table.byte_add(T::SIZE).cast::<u64>().read() };
    if size != size_of::<T>() as u64 {
        return Err(invalid(
            "struct_size",
            size_of::<T>().to_string(),
            size.to_string(),
        ));
    }
    for (function, place) in T::FUNCTIONS {
        // SAFETY: inside of the table, which is complete.
        if unsafe { table.byte_add(*place).cast::<*const u8>().read() }.is_null() {
            return Err(null(function));
        }
    }
    // SAFETY: complete, with all functions.
    Ok(unsafe { &*table })
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
        // SAFETY: every version of the table starts with magic, size and version.
        let (magic, major, minor) =
            unsafe { ((*table).magic, (*table).abi_major, (*table).abi_minor) };
        if magic != MAGIC {
            return Err(LibraryError::Table {
                table: PluginTable::NAME,
                field: "magic",
                expected: format!("{MAGIC:#x}"),
                found: format!("{magic:#x}"),
            });
        }
        if major != ABI_MAJOR {
            return Err(LibraryError::Version {
                expected: format!("{ABI_MAJOR}.{ABI_MINOR}"),
                found: format!("{major}.{minor}"),
            });
        }
        // SAFETY: of this version; plugins keep it for the life of the process.
        let table = unsafe { check(table) }?;
        // SAFETY: the function belongs to the table, the name outlives the call, and the result is a list of this name or null.
        let energies = unsafe {
            let list = (table.get_extension)(Str::new(ENERGIES)).cast::<EnergyList>();
            (!list.is_null()).then(|| check(list)).transpose()?
        };
        // SAFETY: the plugin vouches for its lists.
        unsafe {
            for flow in entries(table.flows, table.n_flows) {
                check(flow)?;
            }
            for target in entries(table.targets, table.n_targets) {
                check(target)?;
            }
            if let Some(list) = energies {
                for energy in entries(list.energies, list.n_energies) {
                    check(energy)?;
                }
            }
        }
        Ok(Library { table, energies })
    }

    /// Its flows.
    pub fn flows(&self) -> impl Iterator<Item = &'static FlowTable> {
        // SAFETY: checked.
        unsafe { entries(self.table.flows, self.table.n_flows).map(|flow| &*flow) }
    }

    /// Its target sources.
    pub fn targets(&self) -> impl Iterator<Item = &'static TargetTable> {
        // SAFETY: checked.
        unsafe { entries(self.table.targets, self.table.n_targets).map(|target| &*target) }
    }

    /// Its energy sources.
    pub fn energies(&self) -> impl Iterator<Item = &'static EnergyTable> {
        let lists = self.energies.into_iter();
        // SAFETY: checked.
        lists.flat_map(|list| unsafe {
            entries(list.energies, list.n_energies).map(|energy| &*energy)
        })
    }

    /// Its own version.
    pub fn version(&self) -> String {
        text(&self.table.version)
    }
}

/// # Safety
/// `tables` is null or has `n` pointers, for the life of the process.
unsafe fn entries<T>(tables: *const *const T, n: u64) -> impl Iterator<Item = *const T> {
    let n = if tables.is_null() { 0 } else { n as usize };
    // SAFETY: by contract.
    (0..n).map(move |place| unsafe { *tables.add(place) })
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
