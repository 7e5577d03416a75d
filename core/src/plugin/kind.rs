//! What all kinds of plugins have in common: found tables, instances built from them, and their errors.

use super::error::{LibraryError, PluginError};
use super::host::{self, Build};
use super::parameters::Parameters;
use super::{Origin, PluginInfo};
use crate::tensor::{DType, Device};
use regflow_plugin::abi::{
    BuildInfo, FeatureDescription, InstanceHandle, STATUS_OK, STATUS_PANIC, Str, Table, TableHead,
    op,
};
use regflow_plugin::{Feature, FeatureKind, Molecule};
use std::collections::HashSet;
use std::f64::consts::PI;
use std::ffi::c_void;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// A kind of plugin, named by what its plugins build.
pub trait Kind: Sized + 'static {
    /// The table that plugins of this kind have.
    type Table: Table;
    /// Flag of a table whose plugin understands circular features.
    const CIRCULAR: u64 = 0;

    /// Tries a plugin with its default configuration, as far as that is possible.
    ///
    /// # Errors
    /// What the plugin does wrong.
    fn try_out(plugin: &Plugin<Self>) -> Result<Checked, PluginError>;
}

/// What came out of a check that a plugin passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// What was found, in words.
    pub summary: String,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// A kind without its type: what finding, loading and listing need.
pub(super) struct Registered {
    pub code: u32,
    pub name: &'static str,
    circular: u64,
    read: unsafe fn(*const c_void) -> Result<RawTable, LibraryError>,
    try_out: fn(&AnyPlugin) -> Result<Checked, PluginError>,
}

impl Registered {
    pub const fn of<K: Kind>() -> Registered {
        Registered {
            code: K::Table::KIND,
            name: K::Table::NAME,
            circular: K::CIRCULAR,
            read: read::<K::Table>,
            try_out: |plugin| K::try_out(&plugin.typed()),
        }
    }

    /// The host's copy of a plugin's table.
    ///
    /// # Safety
    /// Null, or a table of this kind, readable as far as its `struct_size` says, whose texts and functions live as long as the
    /// process.
    pub unsafe fn read(&self, table: *const c_void) -> Result<RawTable, LibraryError> {
        // SAFETY: by contract.
        unsafe { (self.read)(table) }
    }
}

/// A whole table of the host's own, of a kind that is known beside it.
#[derive(Clone, Copy)]
pub(super) struct RawTable(*const TableHead);

// SAFETY: it points to an immutable table (`Table: Send + Sync`) that is never freed.
unsafe impl Send for RawTable {}
// SAFETY: as above.
unsafe impl Sync for RawTable {}

impl RawTable {
    pub fn of<T: Table>(table: &'static T) -> RawTable {
        RawTable(std::ptr::from_ref(table).cast())
    }

    pub fn head(&self) -> &'static TableHead {
        // SAFETY: every table begins with its head.
        unsafe { &*self.0 }
    }
}

/// Copies a table as far as the plugin has it, so that nothing is read beyond: what a newer plugin has more is left out, and
/// what an older one lacks is zero, which optional functions may be.
unsafe fn read<T: Table>(table: *const c_void) -> Result<RawTable, LibraryError> {
    let invalid = |field, expected: String, found: String| LibraryError::Table {
        table: T::NAME,
        field,
        expected,
        found,
    };
    if table.is_null() {
        return Err(invalid("address", "not null".into(), "null".into()));
    }
    // SAFETY: by contract of `Registered::read` a table, which begins with its size.
    let size = unsafe { table.cast::<u64>().read() };
    if size < T::FIRST_SIZE as u64 || !size.is_multiple_of(align_of::<T>() as u64) {
        let least = format!("at least {}", T::FIRST_SIZE);
        return Err(invalid("struct_size", least, size.to_string()));
    }
    let mut copy = Box::new(MaybeUninit::<T>::zeroed());
    let shared = size.min(size_of::<T>() as u64) as usize;
    // SAFETY: the plugin's table has `size` bytes, the copy as many as its type.
    unsafe {
        table
            .cast::<u8>()
            .copy_to_nonoverlapping(copy.as_mut_ptr().cast(), shared)
    };
    for (function, place) in T::FUNCTIONS {
        // SAFETY: a place inside of the copy, all of whose bytes are set.
        let address = unsafe { copy.as_ptr().byte_add(*place).cast::<*const u8>().read() };
        if address.is_null() {
            return Err(invalid(function, "not null".into(), "null".into()));
        }
    }
    // SAFETY: functions are there, and the rest may be zero (`Table`).
    let raw = RawTable::of::<T>(unsafe { Box::leak(copy).assume_init_ref() });
    let (name, schema) = (text(&raw.head().name), text(&raw.head().config_schema));
    if !is_name(&name) {
        let expected = "lower case letters, digits, - and _".into();
        return Err(invalid("name", expected, format!("`{name}`")));
    }
    if let Err(error) = serde_json::from_str::<serde_json::Map<_, _>>(&schema) {
        let expected = "a JSON object".into();
        return Err(invalid("config_schema", expected, error.to_string()));
    }
    Ok(raw)
}

/// Whether a text can be the name of a plugin.
pub(super) fn is_name(text: &str) -> bool {
    let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    !text.is_empty() && text.bytes().all(letter)
}

/// Text of a plugin's table.
pub(super) fn text(text: &Str) -> String {
    // SAFETY: tables live as long as the process, with their texts.
    unsafe { text.to_text() }
}

fn info_of(kind: &Registered, table: RawTable, version: &str, origin: Origin) -> PluginInfo {
    let head = table.head();
    PluginInfo {
        kind: kind.name,
        name: text(&head.name),
        version: version.into(),
        description: text(&head.description),
        schema: text(&head.config_schema),
        origin,
        circular: head.flags & kind.circular != 0,
    }
}

/// A plugin of any kind, found and loaded.
#[derive(Clone)]
pub(super) struct AnyPlugin {
    pub kind: &'static Registered,
    pub info: Arc<PluginInfo>,
    table: RawTable,
}

impl AnyPlugin {
    /// `table` is of `kind`, `version` that of its library.
    pub fn new(kind: &'static Registered, table: RawTable, version: &str, origin: Origin) -> Self {
        AnyPlugin {
            kind,
            info: Arc::new(info_of(kind, table, version, origin)),
            table,
        }
    }

    /// As a plugin of its kind.
    fn typed<K: Kind>(&self) -> Plugin<K> {
        assert_eq!(
            self.kind.code,
            K::Table::KIND,
            "kinds have numbers of their own"
        );
        Plugin {
            // SAFETY: tables of this number have this type.
            table: unsafe { &*self.table.0.cast() },
            info: Arc::clone(&self.info),
        }
    }

    /// As a plugin of kind `K`, if it is one.
    pub fn cast<K: Kind>(&self) -> Option<Plugin<K>> {
        (self.kind.code == K::Table::KIND).then(|| self.typed())
    }

    /// Tries it with its default configuration.
    pub fn try_out(&self) -> Result<Checked, PluginError> {
        (self.kind.try_out)(self)
    }
}

/// A plugin of kind `K`, found and loaded.
pub struct Plugin<K: Kind> {
    table: &'static K::Table,
    info: Arc<PluginInfo>,
}

impl<K: Kind> Clone for Plugin<K> {
    fn clone(&self) -> Self {
        Plugin {
            table: self.table,
            info: Arc::clone(&self.info),
        }
    }
}

impl<K: Kind> fmt::Debug for Plugin<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// What a plugin's instance is built from, besides its configuration.
#[derive(Default)]
pub(super) struct Setup<'a> {
    pub features: &'a [Feature],
    pub molecule: Option<&'a Molecule>,
    /// Without them nothing trainable can be asked for.
    pub parameters: Option<&'a mut Parameters>,
}

impl<K: Kind> Plugin<K> {
    /// Kind, name, version, description, schema, origin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    pub(super) fn table(&self) -> &'static K::Table {
        self.table
    }

    fn head(&self) -> &'static TableHead {
        RawTable::of(self.table).head()
    }

    /// Builds an instance. `config` is a JSON object (empty: the defaults).
    pub(super) fn create(
        &self,
        config: &str,
        setup: Setup<'_>,
    ) -> Result<Instance<K>, PluginError> {
        let circular = setup.features.iter();
        let mut circular = circular.map(|feature| feature.kind == FeatureKind::Circular);
        if let (Some(feature), false) = (circular.position(|is| is), self.info.circular) {
            return Err(PluginError::NotCircular {
                plugin: self.info.name.clone(),
                feature,
            });
        }
        let config = self.info.complete_config(config)?;
        let descriptions: Vec<FeatureDescription> = setup.features.iter().map(describe).collect();
        let nothing = Molecule::default();
        let molecule = setup.molecule.unwrap_or(&nothing);
        let (device, dtype) = match &setup.parameters {
            Some(parameters) => (parameters.device().clone(), parameters.dtype()),
            None => (Device::Cpu, DType::F32),
        };
        let mut build = setup.parameters.map(|parameters| Build {
            parameters,
            asked: HashSet::new(),
        });
        let info = BuildInfo {
            struct_size: size_of::<BuildInfo>() as u64,
            host: host::table(&device),
            build: build.as_mut().map_or(std::ptr::null_mut(), |build| {
                std::ptr::from_mut(build).cast()
            }),
            config: Str::new(&config),
            features: descriptions.as_ptr(),
            n_features: descriptions.len() as u64,
            atomic_numbers: molecule.atomic_numbers.as_ptr(),
            n_atoms: molecule.atomic_numbers.len() as u64,
            bonds: molecule.bonds.as_ptr().cast(),
            n_bonds: molecule.bonds.len() as u64,
            dtype: match dtype {
                DType::F64 => op::DTYPE_F64,
                _ => op::DTYPE_F32,
            },
            reserved: 0,
        };
        let mut handle = std::ptr::null_mut();
        host::take_message();
        // SAFETY: everything that `info` points to outlives the call.
        let status = unsafe { (self.head().create)(&info, &mut handle) };
        check_status(&self.info, "create", status)?;
        if handle.is_null() {
            let message = format!("reported success but made no {}", K::Table::NAME);
            return Err(self.info.failed("create", &message));
        }
        Ok(Instance {
            plugin: self.clone(),
            handle,
        })
    }

    /// The plugin of a table of this very program, which needs no library and is known to no search.
    pub(crate) fn of_table(table: &'static K::Table) -> Self {
        let kind = Registered::of::<K>();
        let version = env!("CARGO_PKG_VERSION");
        Plugin {
            table,
            info: Arc::new(info_of(
                &kind,
                RawTable::of(table),
                version,
                Origin::LinkedIn,
            )),
        }
    }
}

fn describe(feature: &Feature) -> FeatureDescription {
    let (lower, upper) = match feature.kind {
        FeatureKind::Real => (f64::NEG_INFINITY, f64::INFINITY),
        FeatureKind::Circular => (-PI, PI),
    };
    FeatureDescription {
        kind: feature.kind.code(),
        atom: feature.atom,
        axis: feature.axis,
        reserved: 0,
        lower,
        upper,
    }
}

/// What a plugin of kind `K` built; freed when dropped.
pub(super) struct Instance<K: Kind> {
    plugin: Plugin<K>,
    handle: *mut InstanceHandle,
}

// SAFETY: the interface demands instances that any thread may call, several at once (abi).
unsafe impl<K: Kind> Send for Instance<K> {}
// SAFETY: as above.
unsafe impl<K: Kind> Sync for Instance<K> {}

impl<K: Kind> Drop for Instance<K> {
    fn drop(&mut self) {
        // SAFETY: made by `create` of the same table, given back once.
        unsafe { (self.plugin.head().destroy)(self.handle) };
    }
}

impl<K: Kind> fmt::Debug for Instance<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plugin.fmt(f)
    }
}

impl<K: Kind> Instance<K> {
    pub fn info(&self) -> &PluginInfo {
        &self.plugin.info
    }

    pub fn table(&self) -> &'static K::Table {
        self.plugin.table
    }

    /// Calls a function of the table with the instance. A status other than success becomes an error with this thread's message.
    pub fn call(
        &self,
        action: &'static str,
        function: impl FnOnce(*const InstanceHandle) -> i32,
    ) -> Result<(), PluginError> {
        host::take_message();
        check_status(self.info(), action, function(self.handle))
    }

    /// Asks a function of the table that cannot fail.
    pub fn ask<T>(&self, function: impl FnOnce(*const InstanceHandle) -> T) -> T {
        function(self.handle)
    }
}

fn check_status(info: &PluginInfo, action: &'static str, status: i32) -> Result<(), PluginError> {
    if status == STATUS_OK {
        return Ok(());
    }
    let mut message = host::take_message();
    if message.is_empty() {
        message = format!("status {status} without a message");
    }
    Err(if status == STATUS_PANIC {
        PluginError::Panicked {
            plugin: info.name.clone(),
            action,
            message,
        }
    } else {
        info.failed(action, &message)
    })
}
