//! The standard plugins: all that a host which depends on this crate has linked in.

use regflow_plugin::abi::PluginTable;

/// Their tables, in the order in which they are listed.
pub fn plugin_tables() -> Vec<&'static PluginTable> {
    vec![
        regflow_realnvp::plugin_table(),
        regflow_nsf::plugin_table(),
        regflow_ot::plugin_table(),
        regflow_openmm::plugin_table(),
        regflow_lammps::plugin_table(),
    ]
}
