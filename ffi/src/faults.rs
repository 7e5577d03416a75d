//! Every function with a fault inside: none gets out.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::ptr::{null, null_mut};

use crate::failure::{REGFLOW_ERROR_INTERNAL, Status};
use crate::status::{fault, regflow_last_error};
use crate::{density, energy, library, maps, model, moves, status, train, units, weights};

type Call = (&'static str, fn() -> Status);

/// All functions that can fail. The fault strikes before an argument is looked at.
fn calls() -> Vec<Call> {
    // SAFETY: every function takes NULL and zeros, and answers with an error.
    vec![
        ("regflow_energy_load", || unsafe {
            energy::regflow_energy_load(null(), null_mut())
        }),
        ("regflow_energy_from_callback", || unsafe {
            energy::regflow_energy_from_callback(null(), 0, null_mut())
        }),
        ("regflow_energy_free", || unsafe {
            energy::regflow_energy_free(null_mut())
        }),
        ("regflow_energy_n_atoms", || unsafe {
            energy::regflow_energy_n_atoms(null(), null_mut())
        }),
        ("regflow_energy_set_units", || unsafe {
            energy::regflow_energy_set_units(null_mut(), null())
        }),
        ("regflow_energy_compute", || unsafe {
            energy::regflow_energy_compute(null(), 0, null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_set_log", || unsafe {
            library::log::regflow_set_log(null())
        }),
        ("regflow_set_threads", || library::regflow_set_threads(0)),
        ("regflow_threads", || unsafe {
            library::regflow_threads(null_mut())
        }),
        ("regflow_devices", || unsafe {
            library::regflow_devices(null_mut(), 0, null_mut())
        }),
        ("regflow_plugin_load", || unsafe {
            library::regflow_plugin_load(null())
        }),
        ("regflow_plugins", || unsafe {
            library::regflow_plugins(null_mut(), 0, null_mut())
        }),
        ("regflow_model_load", || unsafe {
            model::regflow_model_load(null(), null(), null_mut())
        }),
        ("regflow_model_load_memory", || unsafe {
            model::regflow_model_load_memory(null(), 0, null(), null_mut())
        }),
        ("regflow_model_save", || unsafe {
            model::regflow_model_save(null(), null())
        }),
        ("regflow_model_clone", || unsafe {
            model::regflow_model_clone(null(), null_mut())
        }),
        ("regflow_model_free", || unsafe {
            model::regflow_model_free(null_mut())
        }),
        ("regflow_model_describe", || unsafe {
            model::regflow_model_describe(null(), null_mut(), 0, null_mut())
        }),
        ("regflow_model_n_atoms", || unsafe {
            model::regflow_model_n_atoms(null(), null_mut())
        }),
        ("regflow_model_temperature", || unsafe {
            model::regflow_model_temperature(null(), null_mut())
        }),
        ("regflow_model_atomic_numbers", || unsafe {
            model::regflow_model_atomic_numbers(null(), null_mut(), 0)
        }),
        ("regflow_model_set_units", || unsafe {
            model::regflow_model_set_units(null_mut(), null())
        }),
        ("regflow_model_set_atom_order", || unsafe {
            model::regflow_model_set_atom_order(null_mut(), null(), 0)
        }),
        ("regflow_model_sample", || unsafe {
            density::regflow_model_sample(null(), 0, 0, 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_model_log_density", || unsafe {
            density::regflow_model_log_density(null(), 0, null(), 0, null_mut(), 0)
        }),
        ("regflow_model_log_density_gradient", || unsafe {
            density::regflow_model_log_density_gradient(
                null(),
                0,
                null(),
                0,
                null_mut(),
                0,
                null_mut(),
                0,
            )
        }),
        ("regflow_model_n_features", || unsafe {
            maps::regflow_model_n_features(null(), null_mut())
        }),
        ("regflow_model_feature_kinds", || unsafe {
            maps::regflow_model_feature_kinds(null(), null_mut(), 0)
        }),
        ("regflow_model_to_features", || unsafe {
            maps::regflow_model_to_features(null(), 0, null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_model_to_positions", || unsafe {
            maps::regflow_model_to_positions(null(), 0, null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_model_pull_back", || unsafe {
            maps::regflow_model_pull_back(null(), 0, null(), 0, null(), 0, null_mut(), 0)
        }),
        ("regflow_model_forward", || unsafe {
            maps::regflow_model_forward(null(), 0, null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_model_inverse", || unsafe {
            maps::regflow_model_inverse(null(), 0, null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_move_new", || unsafe {
            moves::regflow_move_new(null(), null(), null_mut())
        }),
        ("regflow_move_free", || unsafe {
            moves::regflow_move_free(null_mut())
        }),
        ("regflow_move_propose", || unsafe {
            moves::regflow_move_propose(null_mut(), null(), 0, null_mut(), 0, null_mut(), 0)
        }),
        ("regflow_move_decide", || unsafe {
            moves::regflow_move_decide(null_mut(), null(), 0, null(), 0, null_mut(), 0)
        }),
        ("regflow_move_run", || unsafe {
            moves::regflow_move_run(
                null_mut(),
                null(),
                0,
                null_mut(),
                0,
                null_mut(),
                0,
                null_mut(),
                0,
            )
        }),
        ("regflow_move_statistics", || unsafe {
            moves::regflow_move_statistics(null(), null_mut())
        }),
        ("regflow_move_save", || unsafe {
            moves::regflow_move_save(null(), null_mut(), 0, null_mut())
        }),
        ("regflow_move_restore", || unsafe {
            moves::regflow_move_restore(null_mut(), null(), 0)
        }),
        ("regflow_set_last_error", || unsafe {
            status::regflow_set_last_error(null())
        }),
        ("regflow_train", || unsafe {
            train::regflow_train(null(), null(), 0, null(), 0, null(), null_mut())
        }),
        ("regflow_units_named", || unsafe {
            units::regflow_units_named(null(), null_mut())
        }),
        ("regflow_weights_log", || unsafe {
            weights::regflow_weights_log(null(), 0, null(), 0, null(), 0, null_mut(), 0)
        }),
        ("regflow_weights_diagnose", || unsafe {
            weights::regflow_weights_diagnose(0, null(), 0, 0, null_mut())
        }),
        ("regflow_weights_resample", || unsafe {
            weights::regflow_weights_resample(0, 0, null(), 0, 0, null_mut(), 0)
        }),
    ]
}

#[test]
fn the_list_is_complete() {
    let header = include_str!("../../include/regflow.h");
    let declared: BTreeSet<&str> = header
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '('))
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("regflow_"))
        .collect();
    let mut listed: BTreeSet<&str> = calls().into_iter().map(|(name, _)| name).collect();
    // These three cannot fail.
    listed.extend([
        "regflow_api_version",
        "regflow_version",
        "regflow_last_error",
    ]);
    let missing: Vec<_> = declared.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the list: {missing:?}");
    let gone: Vec<_> = listed.difference(&declared).collect();
    assert!(gone.is_empty(), "not in the header: {gone:?}");
}

#[test]
fn no_panic_gets_out_of_any_function() {
    fault::arm(true);
    for (name, call) in calls() {
        assert_eq!(call(), REGFLOW_ERROR_INTERNAL, "{name}");
        // SAFETY: the pointer is to a NUL-terminated string, and no call fails before it is read.
        let message = unsafe { CStr::from_ptr(regflow_last_error()) }.to_string_lossy();
        assert_eq!(
            message,
            format!("{name}: internal error: a fault inside {name}")
        );
    }
    fault::arm(false);
}
