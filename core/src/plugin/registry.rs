//! The search for plugins by name or path.

use super::error::{Candidate, LibraryError, PluginError};
use super::library::{Library, debug, text};
use super::{FlowPlugin, Origin, PluginInfo, TargetPlugin};
use regflow_plugin::abi::PluginTable;
use std::env::consts::DLL_SUFFIX;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Folders to look in before the folder of the library.
const PATH_VARIABLE: &str = "REGFLOW_PLUGIN_PATH";

fn linked_in() -> impl Iterator<Item = Library> {
    let tables: [&'static PluginTable; 3] = [
        regflow_realnvp::plugin_table(),
        regflow_nsf::plugin_table(),
        regflow_ot::plugin_table(),
    ];
    tables
        .into_iter()
        .filter_map(|table| Library::of_table(table).ok())
}

/// What [`flow`] and [`target`] have in common.
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

/// The flows linked in.
pub fn flows() -> Vec<FlowPlugin> {
    linked_in()
        .flat_map(|library| Kind::all(library, &Origin::LinkedIn))
        .collect()
}

/// The target sources linked in.
pub fn targets() -> Vec<TargetPlugin> {
    linked_in()
        .flat_map(|library| Kind::all(library, &Origin::LinkedIn))
        .collect()
}

/// All flows and target sources of a file.
pub(super) fn open(
    path: &Path,
) -> Result<(Library, Vec<FlowPlugin>, Vec<TargetPlugin>), PluginError> {
    let library = Library::open(path).map_err(|reason| PluginError::Library {
        path: path.into(),
        reason,
    })?;
    let origin = Origin::File(path.into());
    Ok((
        library,
        Kind::all(library, &origin),
        Kind::all(library, &origin),
    ))
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
    let mut candidates = Vec::new();
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
                Ok(plugin) => return Ok(plugin),
                Err(reason) => {
                    // A file that is there but broken must not be passed over in silence for another one.
                    let broken =
                        !matches!(reason, LibraryError::Missing | LibraryError::Lacks { .. });
                    candidates.push(Candidate { place, reason });
                    if broken {
                        return Err(not_found::<K>(argument, candidates));
                    }
                }
            }
        }
    }
    let mut inside = linked_in().flat_map(|library| K::all(library, &Origin::LinkedIn));
    inside
        .find(|plugin| plugin.info().name == argument)
        .map_or_else(
            || Err(not_found::<K>(argument, candidates)),
            |plugin| {
                debug(|| format!("{} `{argument}`: linked in", K::NAME));
                Ok(plugin)
            },
        )
}

fn not_found<K: Kind>(name: &str, candidates: Vec<Candidate>) -> PluginError {
    let available = linked_in().flat_map(|library| K::all(library, &Origin::LinkedIn));
    PluginError::NotFound {
        kind: K::NAME,
        name: name.into(),
        candidates,
        available: available.map(|plugin| plugin.info().name.clone()).collect(),
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
    let flows = library
        .flows()
        .map(|table| format!("flow `{}`", text(&table.name)));
    let targets = library
        .targets()
        .map(|table| format!("target `{}`", text(&table.name)));
    let all: Vec<String> = flows.chain(targets).collect();
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
