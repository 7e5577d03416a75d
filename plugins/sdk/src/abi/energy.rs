//! Energy sources. Their tables came after the first version of [`PluginTable`](super::PluginTable), which therefore has no
//! field for them: [`PluginTable::get_extension`](super::PluginTable::get_extension) returns an [`EnergyList`] for the name
//! [`ENERGIES`]. An untyped pointer hides the types from abi_stable's check of layouts: `struct_size` guards them, and another
//! layout needs another name.

use super::{HostOps, InstanceHandle, Str};
use core::ffi::c_void;

/// Name of the extension of a plugin table that is an [`EnergyList`].
pub const ENERGIES: &str = "regflow.energies.v1";

/// The energy sources of a plugin.
#[repr(C)]
pub struct EnergyList {
    /// `sizeof(EnergyList)`.
    pub struct_size: u64,
    /// The tables.
    pub energies: *const *const EnergyTable,
    /// Number of tables.
    pub n_energies: u64,
}

// SAFETY: immutable.
unsafe impl Send for EnergyList {}
// SAFETY: as above.
unsafe impl Sync for EnergyList {}

/// Configurations to be evaluated; borrowed for [`EnergyTable::compute`].
#[repr(C)]
pub struct EnergyRequest {
    /// `sizeof(EnergyRequest)`.
    pub struct_size: u64,
    /// Positions in nm, `[n, n_atoms, 3]`; all finite.
    pub positions: *const f64,
    /// Number of configurations.
    pub n: u64,
    /// To be filled with energies in kJ/mol, `[n]`. A configuration that the source cannot evaluate gets NaN, and the
    /// message slot the reason; the call succeeds nevertheless.
    pub energies: *mut f64,
    /// To be filled with forces -dU/dx in kJ/(mol nm), `[n, n_atoms, 3]`; null where they are not wanted.
    pub forces: *mut f64,
}

/// One source of potential energies.
#[repr(C)]
pub struct EnergyTable {
    /// `sizeof(EnergyTable)`.
    pub struct_size: u64,
    /// 0.
    pub flags: u64,
    /// Name: lower case, digits, `-` and `_`.
    pub name: Str,
    /// One sentence.
    pub description: Str,
    /// JSON schema of the configuration. A property `file` is set by `--energy NAME:FILE`.
    pub config_schema: Str,
    /// Builds an energy source from its configuration (JSON; empty for the defaults).
    pub create: unsafe extern "C" fn(
        host: *const HostOps,
        config: Str,
        energy: *mut *mut InstanceHandle,
    ) -> i32,
    /// Frees an energy source; null is ignored.
    pub destroy: unsafe extern "C" fn(energy: *mut InstanceHandle),
    /// Number of atoms, at least 1.
    pub n_atoms: unsafe extern "C" fn(energy: *const InstanceHandle) -> u64,
    /// Writes the mass of each atom in u, NaN where it is not known, to `n_atoms` numbers.
    pub masses: unsafe extern "C" fn(energy: *const InstanceHandle, masses: *mut f64) -> i32,
    /// Energies, and forces where they are wanted.
    pub compute:
        unsafe extern "C" fn(energy: *const InstanceHandle, request: *const EnergyRequest) -> i32,
    /// Later additions by name; null if unknown.
    pub get_extension: unsafe extern "C" fn(name: Str) -> *const c_void,
}

// SAFETY: immutable, and its functions may be called from any thread.
unsafe impl Send for EnergyTable {}
// SAFETY: as above.
unsafe impl Sync for EnergyTable {}
