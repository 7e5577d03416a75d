//! The search for plugins by name or path.

use super::error::{Candidate, LibraryError, PluginError};
use super::library::{Library, debug, text};
use super::{EnergyPlugin, FlowPlugin, Origin, PluginInfo, TargetPlugin};
use regflow_plugin::abi::PluginTable;
use std::env::consts::DLL_SUFFIX;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Folders to look in before the folder of the library.
const PATH_VARIABLE: &str = "REGFLOW_PLUGIN_PATH";

fn linked_in() -> impl Iterator<Item = Library> {
    let tables: [&'static PluginTable; 5] = [
        regflow_realnvp::plugin_table(),
        regflow_nsf::plugin_table(),
        regflow_ot::plugin_table(),
        regflow_openmm::plugin_table(),
        regflow_lammps::plugin_table(),
    ];
    tables
        .into_iter()
        .filter_map(|table| Library::of_table(table).ok())
}

/// The files of [`load`], in their order.
static LOADED: Mutex<Vec<(PathBuf, Library)>> = Mutex::new(Vec::new());

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
    let offers = names(library);
    for (by, other) in loaded.iter() {
        if let Some((kind, name)) = names(*other).into_iter().find(|name| offers.contains(name)) {
            let by = by.clone();
            return Err(PluginError::Taken {
                path,
                kind,
                name,
                by,
            });
        }
    }
    debug(|| format!("loaded {}", path.display()));
    loaded.push((path, library));
    Ok(())
}

/// Everything that is known by name without a search: files of [`load`] first, then what is linked in.
fn known<K: Kind>() -> Vec<K> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded
        .iter()
        .flat_map(|(path, library)| K::all(*library, &Origin::File(path.clone())));
    loaded
        .chain(linked_in().flat_map(|library| K::all(library, &Origin::LinkedIn)))
        .collect()
}

/// Kind and name of everything in a library.
fn names(library: Library) -> Vec<(&'static str, String)> {
    let flows = library
        .flows()
        .map(|table| (FlowPlugin::NAME, text(&table.name)));
    let targets = library
        .targets()
        .map(|table| (TargetPlugin::NAME, text(&table.name)));
    let energies = library
        .energies()
        .map(|table| (EnergyPlugin::NAME, text(&table.name)));
    flows.chain(targets).chain(energies).collect()
}

/// What [`flow`], [`target`] and [`energy`] have in common.
trait Kind: Sized {
    const NAME: &'static str;
    fn all(library: Library, origin: &Origin) -> Vec<Self>;
    fn info(&self) -> &PluginInfo;
}

impl Kind for FlowPlugin {
    const NAME: &'static str = "flow";
    fn all(library: Library, origin: &Origin) -> Vec<Self> {
        let version = library.version();
        library
            .flows()
            .map(|table| FlowPlugin::new(table, &version, origin.clone()))
            .collect()
    }
    fn info(&self) -> &PluginInfo {
        self.info()
    }
}

impl Kind for TargetPlugin {
    const NAME: &'static str = "target";
    fn all(library: Library, origin: &Origin) -> Vec<Self> {
        let version = library.version();
        library
            .targets()
            .map(|table| TargetPlugin::new(table, &version, origin.clone()))
            .collect()
    }
    fn info(&self) -> &PluginInfo {
        self.info()
    }
}

impl Kind for EnergyPlugin {
    const NAME: &'static str = "energy";
    fn all(library: Library, origin: &Origin) -> Vec<Self> {
        let version = library.version();
        library
            .energies()
            .map(|table| EnergyPlugin::new(table, &version, origin.clone()))
            .collect()
    }
    fn info(&self) -> &PluginInfo {
        self.info()
    }
}

/// The flow architecture called `name_or_path`; for the search see the [module](super).
///
/// # Errors
/// [`PluginError::NotFound`] with every place looked at, or [`PluginError::Library`] for a file that cannot be used.
pub fn flow(name_or_path: &str) -> Result<FlowPlugin, PluginError> {
    find(name_or_path)
}

/// The target source called `name_or_path`; for the search see the [module](super).
///
/// # Errors
/// As [`flow`].
pub fn target(name_or_path: &str) -> Result<TargetPlugin, PluginError> {
    find(name_or_path)
}

/// The energy source called `name_or_path`; for the search see the [module](super).
///
/// # Errors
/// As [`flow`].
pub fn energy(name_or_path: &str) -> Result<EnergyPlugin, PluginError> {
    find(name_or_path)
}

/// The flows of the files of [`load`], and those linked in.
pub fn flows() -> Vec<FlowPlugin> {
    known()
}

/// The target sources of the files of [`load`], and those linked in.
pub fn targets() -> Vec<TargetPlugin> {
    known()
}

/// The energy sources of the files of [`load`], and those linked in.
pub fn energies() -> Vec<EnergyPlugin> {
    known()
}

/// What a file offers.
pub(super) struct Contents {
    pub flows: Vec<FlowPlugin>,
    pub targets: Vec<TargetPlugin>,
    pub energies: Vec<EnergyPlugin>,
}

/// Everything in a file.
pub(super) fn open(path: &Path) -> Result<Contents, PluginError> {
    let library = Library::open(path).map_err(|reason| PluginError::Library {
        path: path.into(),
        reason,
    })?;
    let origin = Origin::File(path.into());
    Ok(Contents {
        flows: Kind::all(library, &origin),
        targets: Kind::all(library, &origin),
        energies: Kind::all(library, &origin),
    })
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

fn find<K: Kind>(argument: &str) -> Result<K, PluginError> {
    if let Some((path, name)) = split_path(argument) {
        debug(|| format!("{} {argument}: a path", K::NAME));
        return take::<K>(path, name).map_err(|reason| PluginError::Library {
            path: path.into(),
            reason,
        });
    }
    let known = known::<K>()
        .into_iter()
        .find(|plugin| plugin.info().name == argument);
    let mut candidates = Vec::new();
    let is_linked_in = |plugin: &K| plugin.info().origin == Origin::LinkedIn;
    if known.as_ref().is_none_or(is_linked_in)
        && let Some(plugin) = find_in_folders(argument, &mut candidates)?
    {
        return Ok(plugin);
    }
    let plugin = known.ok_or_else(|| not_found::<K>(argument, candidates))?;
    debug(|| format!("{} `{argument}`: {}", K::NAME, plugin.info().origin));
    Ok(plugin)
}

/// The first of the folders that has the plugin; `candidates` gets the files looked at before.
fn find_in_folders<K: Kind>(
    argument: &str,
    candidates: &mut Vec<Candidate>,
) -> Result<Option<K>, PluginError> {
    for folder in folders() {
        for file in [
            format!("lib{}{DLL_SUFFIX}", argument.replace('-', "_")),
            format!("{argument}{DLL_SUFFIX}"),
        ] {
            let path = folder.join(file);
            let found = take::<K>(&path, Some(argument));
            let place = path.display().to_string();
            debug(|| match &found {
                Ok(_) => format!("{} `{argument}`: {place}", K::NAME),
                Err(reason) => format!("{} `{argument}`: {place}: {reason}", K::NAME),
            });
            match found {
                Ok(plugin) => return Ok(Some(plugin)),
                Err(reason) => {
                    // A file that is there but broken must not be passed over in silence for another one.
                    let broken =
                        !matches!(reason, LibraryError::Missing | LibraryError::Lacks { .. });
                    candidates.push(Candidate { place, reason });
                    if broken {
                        return Err(not_found::<K>(argument, std::mem::take(candidates)));
                    }
                }
            }
        }
    }
    Ok(None)
}

fn not_found<K: Kind>(name: &str, candidates: Vec<Candidate>) -> PluginError {
    let available = known::<K>();
    PluginError::NotFound {
        kind: K::NAME,
        name: name.into(),
        candidates,
        available: available
            .iter()
            .map(|plugin| plugin.info().name.clone())
            .collect(),
    }
}

/// The plugin `name` of a file, or its only one.
fn take<K: Kind>(path: &Path, name: Option<&str>) -> Result<K, LibraryError> {
    let library = Library::open(path)?;
    let mut all = K::all(library, &Origin::File(path.into()));
    let chosen = match name {
        Some(name) => all.iter().position(|plugin| plugin.info().name == name),
        None if all.len() > 1 => {
            return Err(LibraryError::Several {
                kind: K::NAME,
                offers: offers(library),
            });
        }
        None => (!all.is_empty()).then_some(0),
    };
    chosen
        .map(|place| all.swap_remove(place))
        .ok_or_else(|| LibraryError::Lacks {
            kind: K::NAME,
            name: name.unwrap_or("(any)").into(),
            offers: offers(library),
        })
}

fn offers(library: Library) -> String {
    let all: Vec<String> = names(library)
        .into_iter()
        .map(|(kind, name)| format!("{kind} `{name}`"))
        .collect();
    if all.is_empty() {
        "nothing".into()
    } else {
        all.join(", ")
    }
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
        let message = flow("no-such-flow").unwrap_err().to_string();
        for part in [
            "no flow `no-such-flow`",
            "libno_such_flow",
            "no such file",
            "realnvp, nsf",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
