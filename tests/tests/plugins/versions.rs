//! Plugins that were built for another minor version of the interface.

use super::TestResult;
use super::build::c_plugin;
use super::{features, waves};
use regflow::plugin::{self, Field, Molecule, Parameters, check_library};
use regflow::tensor::{DType, Device, Tensor};
use tempfile::TempDir;

#[test]
fn older_and_newer_tables_are_read_as_far_as_they_go() -> TestResult {
    let folder = TempDir::new()?;
    // Their tables end where readable memory ends: a read beyond ends the process.
    for (version, has_divergence) in [("OLDER", false), ("NEWER", true)] {
        let name = format!("{version}.so");
        let library = c_plugin("decay.c", &[version], folder.path(), &name);
        let plugin = plugin::find::<Field>(&library.display().to_string())?;
        let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
        let field = plugin.build("", &features("rr"), &Molecule::default(), &mut parameters)?;
        assert_eq!(field.has_divergence(), has_divergence, "{version}");
        let t = Tensor::new(0.5f32, &Device::Cpu)?;
        field.velocity(&waves(3, 2, DType::F32), &t)?;
        let divergence = field.velocity_and_divergence(&waves(3, 2, DType::F32), &t);
        assert_eq!(divergence.is_ok(), has_divergence);
        // What else it offers is of a kind that this host does not know.
        let report = check_library(&library)?;
        assert_eq!(report.len(), 1);
        assert!(report[0].result.is_ok(), "{report:?}");
    }
    Ok(())
}
