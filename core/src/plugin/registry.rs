//! The search for plugins by name or path.

use super::error::{Candidate, LibraryError, PluginError};
use super::kind::{AnyPlugin, Kind, Plugin, is_name};
use super::library::{Library, debug};
use super::{KINDS, Origin, PluginInfo};
use regflow_plugin::abi::{PluginTable, Table};
use std::env::consts::DLL_SUFFIX;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Folders to look in before the folder of the library.
const PATH_VARIABLE: &str = "REGFLOW_PLUGIN_PATH";

/// What is linked in, and what of it cannot be used.
struct LinkedIn {
    libraries: Vec<Library>,
    refused: Vec<Candidate>,
}

impl LinkedIn {
    /// # Safety
    /// Null, or tables of any version of the interface that live as long as the process.
    unsafe fn of_tables(tables: impl IntoIterator<Item = *const PluginTable>) -> LinkedIn {
        let mut found = LinkedIn {
            libraries: Vec::new(),
            refused: Vec::new(),
        };
        for table in tables {
            // SAFETY: by contract.
            match unsafe { Library::of_table(table) } {
                Ok(library) => found.libraries.push(library),
                Err(reason) => found.refused.push(Candidate {
                    place: Origin::LinkedIn.to_string(),
                    reason,
                }),
            }
        }
        found
    }
}

static LINKED_IN: LazyLock<LinkedIn> = LazyLock::new(|| {
    let tables = regflow_standard::plugin_tables().into_iter();
    // SAFETY: tables that `plugin!` made.
    unsafe { LinkedIn::of_tables(tables.map(std::ptr::from_ref)) }
});

fn linked_in() -> Vec<AnyPlugin> {
    let libraries = LINKED_IN.libraries.iter();
    libraries
        .flat_map(|library| library.plugins(Origin::LinkedIn))
        .collect()
}

/// The files of [`load`], in their order.
static LOADED: Mutex<Vec<(PathBuf, Arc<Library>)>> = Mutex::new(Vec::new());

fn of_files(files: &[(PathBuf, Arc<Library>)]) -> Vec<AnyPlugin> {
    files
        .iter()
        .flat_map(|(path, library)| library.plugins(Origin::File(path.clone())))
        .collect()
}

/// Makes what the file offers known by name, for every search and listing of this process from now on: before the folders
/// that are searched, and before what is linked in. A file that is loaded already is not loaded again.
///
/// # Errors
/// [`PluginError::Library`] for a file that cannot be used; [`PluginError::Taken`] when another loaded file offers the same
/// name. Then nothing of the file is known.
pub fn load(path: &Path) -> Result<(), PluginError> {
    let failed = |reason| PluginError::Library {
        path: path.into(),
        reason,
    };
    let library = Library::open(path).map_err(failed)?;
    let path = path
        .canonicalize()
        .map_err(|_| failed(LibraryError::Missing))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded.iter().any(|(known, _)| *known == path) {
        return Ok(());
    }
    let known = of_files(&loaded);
    for new in library.plugins(Origin::File(path.clone())) {
        let same =
            |old: &&AnyPlugin| old.kind.code == new.kind.code && old.info.name == new.info.name;
        if let Some(old) = known.iter().find(same) {
            return Err(PluginError::Taken {
                path,
                kind: new.kind.name,
                name: new.info.name.clone(),
                by: old.info.origin.clone(),
            });
        }
    }
    debug(|| format!("loaded {}", path.display()));
    loaded.push((path, library));
    Ok(())
}

/// Everything that is known by name without a search: files of [`load`] first, then what is linked in.
fn known() -> Vec<AnyPlugin> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = of_files(&loaded);
    all.extend(linked_in());
    all
}

/// What is known by name without a search, by kind: the files of [`load`] first, then what is linked in.
pub fn all() -> Vec<PluginInfo> {
    let mut all = known();
    all.sort_by_key(|plugin| plugin.kind.code);
    all.iter().map(|plugin| (*plugin.info).clone()).collect()
}

/// What is known of the plugin `name_or_path`, of whatever kind. Different kinds may use one name: the first kind is taken.
///
/// # Errors
/// As [`find`], in the words of the first kind.
pub fn describe(name_or_path: &str) -> Result<PluginInfo, PluginError> {
    let mut first = None;
    for kind in KINDS {
        match search(kind.code, kind.name, name_or_path) {
            Ok(plugin) => return Ok((*plugin.info).clone()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| not_found(0, "plugin", name_or_path, Vec::new())))
}

/// The plugin of kind `K` called `name_or_path`, which a caller of this library chose; for the search see the [module](super).
///
/// # Errors
/// [`PluginError::NotFound`] with every place looked at, or [`PluginError::Library`] for a file that cannot be used.
pub fn find<K: Kind>(name_or_path: &str) -> Result<Plugin<K>, PluginError> {
    typed(search(K::Table::KIND, K::Table::NAME, name_or_path)?)
}

/// The plugin of kind `K` called `name`, which may come from anywhere, such as a file: a path is refused, for loading a library
/// runs its code.
///
/// # Errors
/// As [`find`]; [`PluginError::NotAName`].
pub fn named<K: Kind>(name: &str) -> Result<Plugin<K>, PluginError> {
    if !is_name(name) {
        return Err(PluginError::NotAName {
            kind: K::Table::NAME,
            found: name.into(),
        });
    }
    typed(search_name(K::Table::KIND, K::Table::NAME, name)?)
}

fn typed<K: Kind>(plugin: AnyPlugin) -> Result<Plugin<K>, PluginError> {
    let name = &plugin.info.name;
    plugin
        .cast()
        .ok_or_else(|| not_found(K::Table::KIND, K::Table::NAME, name, Vec::new()))
}

/// Everything in a file.
pub(super) fn open(path: &Path) -> Result<Vec<AnyPlugin>, PluginError> {
    let library = Library::open(path).map_err(|reason| PluginError::Library {
        path: path.into(),
        reason,
    })?;
    Ok(library.plugins(Origin::File(path.into())).collect())
}

/// `FILE` or `FILE:NAME`, where the argument is a path.
fn split_path(argument: &str) -> Option<(&Path, Option<&str>)> {
    if argument.ends_with(DLL_SUFFIX) {
        return Some((Path::new(argument), None));
    }
    if let Some((file, name)) = argument.rsplit_once(':')
        && file.ends_with(DLL_SUFFIX)
    {
        return Some((Path::new(file), Some(name)));
    }
    argument
        .contains(MAIN_SEPARATOR)
        .then(|| (Path::new(argument), None))
}

fn search(code: u32, kind: &'static str, argument: &str) -> Result<AnyPlugin, PluginError> {
    let Some((path, name)) = split_path(argument) else {
        return search_name(code, kind, argument);
    };
    debug(|| format!("{kind} {argument}: a path"));
    take(code, kind, path, name).map_err(|reason| PluginError::Library {
        path: path.into(),
        reason,
    })
}

fn search_name(code: u32, kind: &'static str, name: &str) -> Result<AnyPlugin, PluginError> {
    let is_it = |plugin: &AnyPlugin| plugin.kind.code == code && plugin.info.name == name;
    let known = known().into_iter().find(is_it);
    let mut candidates = Vec::new();
    let is_linked_in = |plugin: &AnyPlugin| plugin.info.origin == Origin::LinkedIn;
    if known.as_ref().is_none_or(is_linked_in)
        && let Some(plugin) = search_folders(code, kind, name, &mut candidates)?
    {
        return Ok(plugin);
    }
    // What the caller named by a path before is his to use by name, the last one first, but hides nothing.
    let opened = || of_files(&Library::opened()).into_iter().rfind(is_it);
    let plugin = known.or_else(opened).ok_or_else(|| {
        candidates.extend_from_slice(&LINKED_IN.refused);
        not_found(code, kind, name, candidates)
    })?;
    debug(|| format!("{kind} `{name}`: {}", plugin.info.origin));
    Ok(plugin)
}

/// The first of the folders that has the plugin; `candidates` gets the files looked at before.
fn search_folders(
    code: u32,
    kind: &'static str,
    name: &str,
    candidates: &mut Vec<Candidate>,
) -> Result<Option<AnyPlugin>, PluginError> {
    for folder in folders() {
        for file in [
            format!("lib{}{DLL_SUFFIX}", name.replace('-', "_")),
            format!("{name}{DLL_SUFFIX}"),
        ] {
            let path = folder.join(file);
            let found = take(code, kind, &path, Some(name));
            let place = path.display().to_string();
            debug(|| match &found {
                Ok(_) => format!("{kind} `{name}`: {place}"),
                Err(reason) => format!("{kind} `{name}`: {place}: {reason}"),
            });
            match found {
                Ok(plugin) => return Ok(Some(plugin)),
                Err(reason) => {
                    // A plugin that is there but broken must not be passed over in silence for another one; a library that
                    // is none, such as an engine's own, has its name by chance.
                    let passed_over = matches!(
                        reason,
                        LibraryError::Missing
                            | LibraryError::NotAPlugin
                            | LibraryError::Lacks { .. }
                    );
                    candidates.push(Candidate { place, reason });
                    if !passed_over {
                        return Err(not_found(code, kind, name, std::mem::take(candidates)));
                    }
                }
            }
        }
    }
    Ok(None)
}

fn not_found(code: u32, kind: &'static str, name: &str, candidates: Vec<Candidate>) -> PluginError {
    let available = known()
        .into_iter()
        .filter(|plugin| plugin.kind.code == code);
    PluginError::NotFound {
        kind,
        name: name.into(),
        candidates,
        available: available.map(|plugin| plugin.info.name.clone()).collect(),
    }
}

/// The plugin `name` of a file, or its only one.
fn take(
    code: u32,
    kind: &'static str,
    path: &Path,
    name: Option<&str>,
) -> Result<AnyPlugin, LibraryError> {
    let library = Library::open(path)?;
    let everything: Vec<AnyPlugin> = library.plugins(Origin::File(path.into())).collect();
    let offers = || {
        let names = everything.iter();
        let names = names.map(|plugin| format!("{} `{}`", plugin.kind.name, plugin.info.name));
        let names: Vec<String> = names.collect();
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        }
    };
    let mut of_kind = everything.iter().filter(|plugin| plugin.kind.code == code);
    let chosen = match name {
        Some(name) => of_kind.find(|plugin| plugin.info.name == name),
        None if of_kind.clone().count() > 1 => {
            return Err(LibraryError::Several {
                kind,
                offers: offers(),
            });
        }
        None => of_kind.next(),
    };
    chosen.cloned().ok_or_else(|| LibraryError::Lacks {
        kind,
        name: name.unwrap_or("(any)").into(),
        offers: offers(),
    })
}

fn folders() -> Vec<PathBuf> {
    let variable = std::env::var_os(PATH_VARIABLE).unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&variable)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    folders.extend(own_folder());
    folders
}

/// The folder of the shared library or program that this code is part of.
fn own_folder() -> Option<PathBuf> {
    own_library()
        .or_else(|| std::env::current_exe().ok())?
        .parent()
        .map(Path::to_path_buf)
}

#[cfg(target_os = "linux")]
fn own_library() -> Option<PathBuf> {
    // The file that is mapped where this function lies: "start-end rwxp offset device inode   path".
    let address = own_library as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let path = &line[line.find('/')?..];
        range.contains(&address).then(|| PathBuf::from(path))
    })
}

#[cfg(not(target_os = "linux"))]
fn own_library() -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Flow;

    #[test]
    fn paths_are_told_from_names() {
        let file = format!("x{DLL_SUFFIX}");
        assert_eq!(split_path("realnvp"), None);
        assert_eq!(split_path(&file), Some((Path::new(&file), None)));
        assert_eq!(
            split_path(&format!("{file}:a")),
            Some((Path::new(&file), Some("a")))
        );
        let bare = format!(".{MAIN_SEPARATOR}x");
        assert_eq!(split_path(&bare), Some((Path::new(&bare), None)));
    }

    #[test]
    fn own_folder_is_that_of_the_test_program() {
        let program = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(own_folder().unwrap(), program.parent().unwrap());
    }

    #[test]
    fn unknown_names_list_where_they_were_looked_for() {
        let message = find::<Flow>("no-such-flow").unwrap_err().to_string();
        for part in [
            "no flow `no-such-flow`",
            "libno_such_flow",
            "no such file",
            "realnvp, nsf",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn only_names_come_from_elsewhere() {
        assert!(named::<Flow>("realnvp").is_ok());
        let file = format!("x{DLL_SUFFIX}");
        for path in [
            "./x", "/tmp/x", &file, "x:y", "..", "", "Realnvp", "a b", "a\u{e9}", "a\0",
        ] {
            let refused = named::<Flow>(path);
            assert!(
                matches!(refused, Err(PluginError::NotAName { .. })),
                "{path}: {refused:?}"
            );
        }
    }

    #[test]
    fn kinds_differ_and_everything_linked_in_is_in_order() {
        let known: Vec<u32> = regflow_plugin::KINDS.iter().map(|kind| kind.code).collect();
        let codes: Vec<u32> = KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes, known);
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert_eq!(LINKED_IN.refused, []);
        // SAFETY: null is allowed.
        let broken = unsafe { LinkedIn::of_tables([std::ptr::null()]) };
        assert!(broken.libraries.is_empty());
        assert!(matches!(
            &broken.refused[..],
            [Candidate { place, reason: LibraryError::Start { .. } }] if place == "linked in"
        ));
        assert_eq!(describe("ot").unwrap().kind, "target");
        assert!(
            describe("nothing")
                .unwrap_err()
                .to_string()
                .contains("no flow `nothing`")
        );
    }
}
