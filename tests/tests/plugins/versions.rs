//! Plugins that were built for another minor version of the interface, and what may never change in this one.

use super::TestResult;
use super::build::{c_plugin, root, run};
use super::{features, flat, waves};
use regflow::energy::Energy;
use regflow::plugin::{
    self, DataSide, FeatureKind, Field, Flow, Molecule, Parameters, PluginEnergy, Target, Task,
    check_library,
};
use regflow::tensor::{DType, Device, Tensor};
use regflow_plugin::abi::{
    Attr, BuildInfo, FeatureDescription, Grown, HostOps, KindList, PluginTable, Str, Table,
    TableHead,
};
use regflow_plugin::energy::{EnergyRequest, EnergyTable};
use regflow_plugin::field::FieldTable;
use regflow_plugin::flow::FlowTable;
use regflow_plugin::target::{PairBatch, PairRequest, TargetTable};
use std::fmt::Write;
use std::mem::offset_of;
use std::path::PathBuf;
use std::process::Command;
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

/// A library that was built when version 1.0 was frozen, where it can run.
fn frozen(name: &str) -> Option<PathBuf> {
    if cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        return Some(root().join("tests/plugins/frozen").join(name));
    }
    eprintln!("skipped: the frozen libraries are for x86-64 Linux");
    None
}

#[test]
fn a_c_library_of_version_1_loads_for_ever() -> TestResult {
    let Some(library) = frozen("v1-c-x86_64-linux.so") else {
        return Ok(());
    };
    let report = check_library(&library)?;
    assert!(
        report.iter().all(|report| report.result.is_ok()),
        "{report:?}"
    );
    let kinds: Vec<&str> = report.iter().map(|report| report.info.kind).collect();
    assert_eq!(kinds, ["flow", "field", "target", "energy"]);
    let path = library.display().to_string();

    let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 0);
    let (features, molecule) = (features("rc"), Molecule::default());
    let flow = plugin::find::<Flow>(&path)?.build("", &features, &molecule, &mut parameters)?;
    let x = waves(3, 2, DType::F32);
    let (y, log_det) = flow.forward(&x)?;
    assert_eq!(flat(&y), flat(&(&x + 0.5)?));
    assert_eq!(flat(&log_det), [0.0; 3]);
    let gradients = y.sum_all()?.backward()?;
    let shift = parameters.get("shift").ok_or("no shift")?;
    assert_eq!(flat(gradients.get(shift).ok_or("no gradient")?), [3.0, 3.0]);

    let field = plugin::find::<Field>(&path)?.build("", &features, &molecule, &mut parameters)?;
    let v = field.velocity(&x, &Tensor::new(0.5f32, &Device::Cpu)?)?;
    for (v, x) in flat(&v).into_iter().zip(flat(&x)) {
        assert!((v - x.sin()).abs() < 1e-6);
    }

    let target = plugin::find::<Target>(&path)?.build("")?;
    let kinds = [FeatureKind::Real];
    let pairing = target.pair(&Task::new(&[1.0, 2.0, 3.0], &[5.0, 6.0], &kinds, 0))?;
    assert_eq!(pairing.data, DataSide::Rows(vec![1, 0, 1]));
    assert_eq!(
        (pairing.x0, pairing.log_q, pairing.log_det),
        (None, None, None)
    );

    let energy = plugin::find::<PluginEnergy>(&path)?.build("")?;
    assert_eq!(energy.masses(), Some(&[12.0][..]));
    let (mut energies, mut forces) = ([0.0; 2], [0.0; 6]);
    let positions = [1.0, 2.0, 3.0, 0.0, -1.0, 0.5];
    energy.energies_and_forces(&positions, &mut energies, &mut forces)?;
    assert_eq!(energies, [14.0, 1.25]);
    assert_eq!(forces, positions.map(|x| -2.0 * x));
    Ok(())
}

#[test]
fn a_rust_library_of_version_1_loads_for_ever() -> TestResult {
    let Some(packed) = frozen("v1-rust-x86_64-linux.so.xz") else {
        return Ok(());
    };
    let folder = TempDir::new()?;
    let library = folder.path().join("v1-rust.so");
    let mut xz = Command::new("xz");
    xz.args(["--decompress", "--stdout"]).arg(packed);
    run(xz.stdout(std::fs::File::create(&library)?));
    let report = check_library(&library)?;
    assert!(
        report.iter().all(|report| report.result.is_ok()),
        "{report:?}"
    );
    let names = report.iter();
    let names: Vec<_> = names
        .map(|report| (report.info.kind, &*report.info.name))
        .collect();
    assert_eq!(names, [("field", "waves"), ("target", "half")]);
    let plugin = plugin::find::<Field>(&library.display().to_string())?;
    let features = features("rcc");
    let report = plugin.check("", &features, &Molecule::default())?;
    assert!(
        report.divergence.is_some_and(|error| error < 1e-8),
        "{report:?}"
    );
    // An author's panic still comes back as an error.
    let words = plugin.check(r#"{"fault": "words"}"#, &features, &Molecule::default());
    let error = words.unwrap_err().to_string();
    assert_eq!(error, "plugin `waves` panicked in velocity: no words");
    Ok(())
}

#[test]
fn sizes_of_version_1_stay() {
    assert_eq!(
        [
            FlowTable::FIRST_SIZE,
            FieldTable::FIRST_SIZE,
            TargetTable::FIRST_SIZE,
            EnergyTable::FIRST_SIZE,
        ],
        [96, 88, 88, 104]
    );
    assert_eq!(
        [
            HostOps::FIRST_SIZE,
            BuildInfo::FIRST_SIZE,
            PairRequest::FIRST_SIZE,
            PairBatch::FIRST_SIZE,
            EnergyRequest::FIRST_SIZE,
        ],
        [104, 96, 104, 56, 40]
    );
    // These never grow.
    let fixed = [
        size_of::<Str>(),
        size_of::<Attr>(),
        size_of::<FeatureDescription>(),
        size_of::<KindList>(),
        size_of::<PluginTable>(),
        size_of::<TableHead>(),
    ];
    assert_eq!(fixed, [16, 32, 32, 24, 72, 80]);
    // These may, but what was last stays where it is.
    let last = [
        offset_of!(HostOps, set_error),
        offset_of!(BuildInfo, reserved),
        offset_of!(FieldTable, velocity_and_divergence),
        offset_of!(PairRequest, data),
        offset_of!(PairBatch, log_det),
        offset_of!(EnergyRequest, forces),
    ];
    assert_eq!(last, [96, 92, 88, 96, 48, 32]);
}

/// `(C expression, its value in Rust)` for the size of a type and the places of its fields.
macro_rules! layout {
    ($($rust:ty, $c:literal: [$($field:ident $(= $name:literal)?),* $(,)?];)*) => {
        vec![$(
            (format!("sizeof({})", $c), size_of::<$rust>()),
            $((
                format!("offsetof({}, {})", $c, [$($name,)? stringify!($field)][0]),
                offset_of!($rust, $field),
            )),*
        ),*]
    };
}

#[test]
fn c_header_has_the_layout_of_the_rust_interface() -> TestResult {
    let mut expected = layout! {
        Str, "regflow_str_t": [ptr, len];
        Attr, "regflow_attr_t": [key, kind, float = "float_value", ints, len];
        HostOps, "regflow_host_ops_t": [
            struct_size, context, op, op_supported, retain, release, shape, dtype, from_host, to_host, parameter, last_error,
            set_error,
        ];
        FeatureDescription, "regflow_feature_t": [kind, atom, axis, reserved, lower, upper];
        BuildInfo, "regflow_build_info_t": [
            struct_size, host, build, config, features, n_features, atomic_numbers, n_atoms, bonds, n_bonds, dtype, reserved,
        ];
        TableHead, "regflow_table_head_t": [struct_size, flags, name, description, config_schema, create, destroy];
        FlowTable, "regflow_flow_table_t": [head, forward, inverse];
        FieldTable, "regflow_field_table_t": [head, velocity, velocity_and_divergence];
        PairBatch, "regflow_pair_batch_t": [struct_size, n, x0, x1, rows, log_q, log_det];
        PairRequest, "regflow_pair_request_t": [
            struct_size, x0, n0, x1, n1, dim, kinds, count, seed, threads, reserved, progress, give, data,
        ];
        TargetTable, "regflow_target_table_t": [head, pair];
        EnergyRequest, "regflow_energy_request_t": [struct_size, positions, n, energies, forces];
        EnergyTable, "regflow_energy_table_t": [head, n_atoms, masses, compute];
        KindList, "regflow_kind_list_t": [kind, reserved, tables, n_tables];
        PluginTable, "regflow_plugin_table_t": [
            magic, struct_size, abi_major, abi_minor, name, version, kinds, n_kinds,
        ];
    };
    for kind in regflow_plugin::KINDS {
        let table = format!("regflow_{}_table_t", kind.name);
        expected.push((format!("sizeof({table})"), kind.size));
        for (function, place) in kind.functions {
            let field = match *function {
                "create" | "destroy" => format!("head.{function}"),
                own => own.to_owned(),
            };
            expected.push((format!("offsetof({table}, {field})"), *place));
        }
    }
    let mut source = String::from(
        "#include \"regflow_plugin.h\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n",
    );
    for (expression, _) in &expected {
        writeln!(source, "printf(\"%zu\\n\", {expression});")?;
    }
    source += "return 0;\n}\n";
    let folder = TempDir::new()?;
    let (file, program) = (folder.path().join("layout.c"), folder.path().join("layout"));
    std::fs::write(&file, source)?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.arg("-I").arg(root().join("include"));
    run(command.arg(&file).arg("-o").arg(&program));
    let output = Command::new(&program).output()?;
    let found = String::from_utf8(output.stdout)?;
    assert_eq!(found.lines().count(), expected.len());
    for ((expression, expected), found) in expected.iter().zip(found.lines()) {
        assert_eq!(found.parse::<usize>()?, *expected, "{expression}");
    }
    Ok(())
}
