//! Metropolis moves.

use std::mem::offset_of;
use std::sync::Arc;

use regflow_core::sample::{Metropolis, MoveOptions as CoreOptions, Placement};

use crate::arguments::{
    Struct, check, check_length, check_number, converted, output, output_struct, results,
    structure, values, write_bytes, zeros,
};
use crate::energy::{EnergyHandle, watched};
use crate::failure::{Failure, Status};
use crate::handle::{Handle, create, exclusive, free, shared};
use crate::model::{Content as Model, ModelHandle};
use crate::status::{compute, guard};
use crate::units::Units;

/// Placement: the frame of the molecule stays as it is. Exact in every system.
pub const REGFLOW_PLACEMENT_KEEP: i32 = 0;
/// Placement: a new orientation, uniform about the frame's origin. Exact in every system too, but seldom accepted where
/// the energy changes when the molecule turns.
pub const REGFLOW_PLACEMENT_RANDOM: i32 = 1;

/// Proposals per network call where the caller does not say.
const BATCH: usize = 1024;
/// Most proposals per network call, and most atoms in them: 1.6 GB of positions.
const MOST_BATCH: usize = 1 << 20;
const MOST_ATOMS: usize = 1 << 26;

/// What a move moves. Zeros stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MoveOptions {
    /// `sizeof(regflow_move_options_t)`.
    pub struct_size: usize,
    /// Number of walkers; 0: 1.
    pub n_walkers: usize,
    /// Temperature of the simulation in the model's units; 0: that of the model. At another one moves are as exact, but fewer
    /// are accepted.
    pub temperature: f64,
    /// Seed of proposals and decisions.
    pub seed: u64,
    /// Proposals that one call of the network draws; 0: 1024.
    pub batch: usize,
    /// Atoms of the caller's system; 0: those of the model alone.
    pub n_system_atoms: usize,
    /// `[n_atoms]`: index in the system of each of the model's atoms, in the caller's order. NULL: the first ones.
    pub atoms: *const usize,
    /// Length of `atoms`.
    pub atoms_length: usize,
    /// Three of the model's atoms, in the caller's order, whose frame stays where it is: the first stays in its place, the
    /// direction to the second and the half-plane of the third stay. NULL: those of the model's coordinates.
    pub frame: *const usize,
    /// Length of `frame`: 3, or 0 with NULL.
    pub frame_length: usize,
    /// `REGFLOW_PLACEMENT_KEEP` or `REGFLOW_PLACEMENT_RANDOM`.
    pub placement: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: numbers and pointers, the first of them `struct_size`.
unsafe impl Struct for MoveOptions {
    const NAME: &'static str = "regflow_move_options_t";
    const FIRST_SIZE: usize = offset_of!(MoveOptions, reserved) + size_of::<i32>();
}

/// How often moves were accepted, over all walkers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MoveStatistics {
    /// `sizeof(regflow_move_statistics_t)`.
    pub struct_size: usize,
    /// Proposals that were decided on.
    pub attempts: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Mean of the acceptance probability: an estimate of the rate with less noise than accepted / attempts. 0 without attempts.
    pub mean_acceptance: f64,
    /// Calls of the network, in both directions.
    pub network_calls: u64,
}

// SAFETY: plain numbers, the first of them `struct_size`.
unsafe impl Struct for MoveStatistics {
    const NAME: &'static str = "regflow_move_statistics_t";
    const FIRST_SIZE: usize = offset_of!(MoveStatistics, network_calls) + size_of::<u64>();
}

/// A move with the caller's units.
pub(crate) struct Content {
    metropolis: Metropolis,
    units: Units,
}

/// A Metropolis move of one walker or of several, made by `regflow_move_new` and ended by `regflow_move_free`.
///
/// One thread at a time may use a move; a second one gets `REGFLOW_ERROR_STATE`. Threads that each have a walker have a
/// move each, with different seeds.
pub struct MoveHandle {
    _opaque: [u8; 0],
}

impl Handle for MoveHandle {
    type Content = Content;
    const MARK: u64 = u64::from_be_bytes(*b"regmoves");
    const NAME: &'static str = "regflow_move_t";
}

impl Content {
    fn to_core(&self, positions: &[f64]) -> Result<Vec<f64>, Failure> {
        converted(positions, |x| x * self.units.length)
    }

    /// Positions in the caller's unit; those that did not change keep every bit.
    fn to_caller(&self, before: &[f64], after: &[f64], given: &[f64], to: &mut [f64]) {
        for (i, to) in to.iter_mut().enumerate() {
            *to = match before[i] == after[i] {
                true => given[i],
                false => after[i] / self.units.length,
            };
        }
    }
}

/// Makes a move with a model.
///
/// `options` may be NULL: one walker, a system of the model's atoms alone, seed 0. Units and atom order are those that the model
/// has now; the model may be freed afterwards. Models in `cartesian` coordinates, whose density is not one of shapes, are refused. On success
/// `*move` is a new move that the caller ends with `regflow_move_free`; on failure it is NULL.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, among others for a model that cannot make exact moves; `REGFLOW_ERROR_COMPUTE`;
/// `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, `options` is NULL or may be read for its `struct_size` and has arrays of the stated
/// lengths, and `move` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_new(
    model: *const ModelHandle,
    options: *const MoveOptions,
    r#move: *mut *mut MoveHandle,
) -> Status {
    compute("regflow_move_new", || {
        // SAFETY: the caller vouches for the pointer.
        let handle = unsafe { output("move", r#move) }?;
        *handle = std::ptr::null_mut();
        // SAFETY: the caller vouches for the model.
        let model = unsafe { shared("model", model) }?;
        let options = match options.is_null() {
            true => None,
            // SAFETY: the caller vouches for the struct.
            false => Some(unsafe { structure("options", options) }?),
        };
        // SAFETY: the caller vouches for the arrays of the struct.
        let options = unsafe { core_options(model, options) }?;
        *handle = create(Content {
            metropolis: Metropolis::new(Arc::clone(&model.model), &options)?,
            units: model.units,
        });
        Ok(())
    })
}

/// # Safety
/// The arrays of `options` have the stated lengths.
unsafe fn core_options(
    model: &Model,
    options: Option<MoveOptions>,
) -> Result<CoreOptions, Failure> {
    let n_atoms = model.model.n_atoms();
    let mut core = CoreOptions {
        batch: BATCH,
        // The caller's order is not the model's.
        atoms: Some((0..n_atoms).map(|atom| model.place(atom)).collect()),
        ..CoreOptions::default()
    };
    let Some(options) = options else {
        return Ok(core);
    };
    core.n_walkers = options.n_walkers.max(1);
    core.seed = options.seed;
    if options.temperature != 0.0 {
        core.temperature = Some(options.temperature * model.units.temperature);
    }
    if options.batch != 0 {
        core.batch = options.batch;
    }
    if options.n_system_atoms != 0 {
        core.n_system_atoms = Some(options.n_system_atoms);
    }
    check_number("options->reserved", options.reserved, 0..=0, "0")?;
    // The other sizes come with arrays of the caller's; this one would be allocated as it is.
    if core.batch > MOST_BATCH || core.batch.saturating_mul(n_atoms) > MOST_ATOMS {
        return Err(Failure::Range {
            argument: "options->batch",
            what: format!("it is {} for {n_atoms} atoms", core.batch),
            expected: "at most 1048576 proposals, with at most 67108864 atoms in all",
        });
    }
    if !options.atoms.is_null() || options.atoms_length != 0 {
        check("options->atoms", options.atoms)?;
        // SAFETY: the caller vouches for the array.
        let atoms = unsafe { values("options->atoms", options.atoms, options.atoms_length) }?;
        // In the caller's order; a list of another length is refused with the others that are wrong.
        core.atoms = Some(match atoms.len() == n_atoms {
            true => (0..n_atoms).map(|atom| atoms[model.place(atom)]).collect(),
            false => atoms.to_vec(),
        });
    }
    if !options.frame.is_null() || options.frame_length != 0 {
        check("options->frame", options.frame)?;
        // SAFETY: the caller vouches for the array.
        let frame = unsafe { values("options->frame", options.frame, options.frame_length) }?;
        let &[a, b, c] = frame else {
            return Err(Failure::Range {
                argument: "options->frame",
                what: format!("it has {} atoms", frame.len()),
                expected: "3",
            });
        };
        let own = |place: usize| (0..n_atoms).find(|&atom| model.place(atom) == place);
        core.frame = Some([a, b, c].map(|place| own(place).unwrap_or(usize::MAX)));
    }
    core.placement = match options.placement {
        REGFLOW_PLACEMENT_KEEP => Placement::Keep,
        REGFLOW_PLACEMENT_RANDOM => Placement::Random,
        other => {
            return Err(Failure::Range {
                argument: "options->placement",
                what: format!("it is {other}"),
                expected: "REGFLOW_PLACEMENT_KEEP (0) or REGFLOW_PLACEMENT_RANDOM (1)",
            });
        }
    };
    Ok(core)
}

/// Ends a move. NULL is fine and does nothing.
///
/// No thread may use the move during or after this call. Since 1.
///
/// # Safety
/// `move` is NULL or a move, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_free(r#move: *mut MoveHandle) -> Status {
    // SAFETY: the caller vouches for the move.
    guard("regflow_move_free", || unsafe { free("move", r#move) })
}

/// Proposes a new configuration for each walker; the engine then computes energies and calls `regflow_move_decide`.
///
/// `positions`, `[n_walkers][n_system_atoms][3]`, are where the walkers are now, molecules whole (not wrapped into a periodic
/// box); `proposals` becomes the same with the model's atoms moved, and all others copied. `log_ratios`, `[n_walkers]`, becomes
/// log q(current) - log q(proposal). It is minus infinity where the move will be rejected whatever the energy, which need not
/// be computed then. Proposals are drawn in batches in advance; the density of the current configuration is computed here, so
/// that moves are exact whatever happened since the last one. A proposal that is not decided on does not count.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, among others for a position that is not finite; `REGFLOW_ERROR_LENGTH`;
/// `REGFLOW_ERROR_STATE` in a forked process or beside another call; `REGFLOW_ERROR_COMPUTE`. One thread at a time. Since 1.
///
/// # Safety
/// `move` is a move that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_propose(
    r#move: *mut MoveHandle,
    positions: *const f64,
    positions_length: usize,
    proposals: *mut f64,
    proposals_length: usize,
    log_ratios: *mut f64,
    log_ratios_length: usize,
) -> Status {
    compute("regflow_move_propose", || {
        // SAFETY: the caller vouches for the move and the arrays.
        let (mut content, positions, proposals, log_ratios) = unsafe {
            (
                exclusive("move", r#move)?,
                values("positions", positions, positions_length)?,
                results("proposals", proposals, proposals_length)?,
                results("log_ratios", log_ratios, log_ratios_length)?,
            )
        };
        let before = content.to_core(positions)?;
        let mut after = zeros(proposals.len())?;
        let mut ratios = zeros(log_ratios.len())?;
        content
            .metropolis
            .propose(&before, &mut after, &mut ratios)?;
        content.to_caller(&before, &after, positions, proposals);
        log_ratios.copy_from_slice(&ratios);
        Ok(())
    })
}

/// Accepts or rejects what `regflow_move_propose` gave: with probability min(1, exp(-(U' - U) / kT + log_ratio)).
///
/// `energies` and `proposal_energies`, `[n_walkers]`, are those of the whole system before and after the move, in the caller's
/// unit. `accepted`, `[n_walkers]`, becomes 1 where the walker moves to the proposal, else 0. A proposal whose energy is
/// infinite or not a number is rejected; a current configuration of infinite energy is left for any other. After an accepted
/// move, the velocities of the atoms that moved must be drawn anew.
///
/// Errors: `REGFLOW_ERROR_STATE` if nothing was proposed, and in a forked process; `REGFLOW_ERROR_ARGUMENT`, among others for a
/// current energy that is not a number; `REGFLOW_ERROR_LENGTH`. The proposal can be decided on again after an error. One thread at a time. Since 1.
///
/// # Safety
/// `move` is a move that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_decide(
    r#move: *mut MoveHandle,
    energies: *const f64,
    energies_length: usize,
    proposal_energies: *const f64,
    proposal_energies_length: usize,
    accepted: *mut i32,
    accepted_length: usize,
) -> Status {
    compute("regflow_move_decide", || {
        // SAFETY: the caller vouches for the move and the arrays.
        let (mut content, energies, proposal_energies, accepted) = unsafe {
            (
                exclusive("move", r#move)?,
                values("energies", energies, energies_length)?,
                values(
                    "proposal_energies",
                    proposal_energies,
                    proposal_energies_length,
                )?,
                results("accepted", accepted, accepted_length)?,
            )
        };
        let unit = content.units.energy;
        let before = converted(energies, |u| u * unit)?;
        let after = converted(proposal_energies, |u| u * unit)?;
        let mut decisions = zeros(accepted.len())?;
        content.metropolis.decide(&before, &after, &mut decisions)?;
        for (to, from) in accepted.iter_mut().zip(decisions) {
            *to = i32::from(from);
        }
        Ok(())
    })
}

/// Makes `n_attempts` attempts for each walker, one after the other, with energies computed in batches by `energy`, which is one
/// of the whole system.
///
/// `positions`, `[n_walkers][n_system_atoms][3]`, go in and come out. `energies` (`[n_walkers]`, or NULL with a length of 0) become
/// those of the last configurations. `n_accepted` (`[n_walkers]`, or NULL with a length of 0) becomes the number of accepted
/// attempts of each walker. Lengths and energies are in the units of the move, whatever those of `energy`.
///
/// Errors: as `regflow_move_propose` and `regflow_move_decide`, `REGFLOW_ERROR_STATE` among them; `REGFLOW_ERROR_ARGUMENT` if masses of the energy show that the
/// system has other atoms where the model's should be; `REGFLOW_ERROR_CALLBACK` if the energy is a callback and fails;
/// nothing is written then, and the attempts do not count. One thread at a time. Since 1.
///
/// # Safety
/// `move` and `energy` were not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_run(
    r#move: *mut MoveHandle,
    energy: *const EnergyHandle,
    n_attempts: usize,
    positions: *mut f64,
    positions_length: usize,
    energies: *mut f64,
    energies_length: usize,
    n_accepted: *mut usize,
    n_accepted_length: usize,
) -> Status {
    compute("regflow_move_run", || {
        // SAFETY: the caller vouches for the handles and the arrays.
        let (mut content, energy, positions, energies, n_accepted) = unsafe {
            (
                exclusive("move", r#move)?,
                shared("energy", energy)?.energy(),
                results("positions", positions, positions_length)?,
                results("energies", energies, energies_length)?,
                results("n_accepted", n_accepted, n_accepted_length)?,
            )
        };
        let n_walkers = content.metropolis.n_walkers();
        let width = 3 * content.metropolis.n_system_atoms();
        check_length("positions_length", positions.len(), n_walkers, width)?;
        for (argument, given) in [
            ("energies_length", energies.len()),
            ("n_accepted_length", n_accepted.len()),
        ] {
            if given != 0 {
                check_length(argument, given, n_walkers, 1)?;
            }
        }
        let before = content.to_core(positions)?;
        let mut after = converted(&before, |x| x)?;
        let mut computed = zeros(n_walkers)?;
        let mut accepted = Vec::new();
        watched(energy.as_ref(), || {
            let moves = &mut content.metropolis;
            accepted = moves.run(energy.as_ref(), n_attempts, &mut after, &mut computed)?;
            Ok(())
        })?;
        let given = converted(positions, |x| x)?;
        content.to_caller(&before, &after, &given, positions);
        let unit = content.units.energy;
        energies
            .iter_mut()
            .zip(computed)
            .for_each(|(to, from)| *to = from / unit);
        n_accepted
            .iter_mut()
            .zip(accepted)
            .for_each(|(to, from)| *to = from);
        Ok(())
    })
}

/// Writes how often moves were accepted so far, over all walkers, to `*statistics`, whose `struct_size` must be set.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. One thread at a time. Since 1.
///
/// # Safety
/// `move` is a move that was not freed, and `statistics` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_statistics(
    r#move: *const MoveHandle,
    statistics: *mut MoveStatistics,
) -> Status {
    guard("regflow_move_statistics", || {
        // SAFETY: the caller vouches for the move.
        let found = unsafe { exclusive("move", r#move) }?
            .metropolis
            .statistics();
        let found = MoveStatistics {
            struct_size: size_of::<MoveStatistics>(),
            attempts: found.attempts,
            accepted: found.accepted,
            mean_acceptance: found.probability / found.attempts.max(1) as f64,
            network_calls: found.network_calls,
        };
        // SAFETY: the caller vouches for the struct.
        unsafe { output_struct("statistics", statistics, found) }
    })
}

/// Saves the state of a move, some 300 bytes, for a restart file: a move that is made with the same model and options and
/// restored from it goes on to the same random numbers, proposals and decisions.
///
/// `bytes` has room for `capacity` bytes; `*length` becomes the number that is needed, also when the room is too small, and
/// `bytes` NULL with a capacity of 0 asks for it alone. A proposal that was not decided on is not part of the state.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small; `REGFLOW_ERROR_STATE`. One thread at a time.
/// Since 1.
///
/// # Safety
/// `move` is a move that was not freed; `bytes` may be written to for `capacity` bytes, and `length` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_save(
    r#move: *const MoveHandle,
    bytes: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> Status {
    guard("regflow_move_save", || {
        // SAFETY: the caller vouches for the move.
        let state = unsafe { exclusive("move", r#move) }?.metropolis.save()?;
        // SAFETY: the caller vouches for the memory.
        unsafe { write_bytes(["bytes", "capacity"], &state, bytes, capacity, length) }
    })
}

/// Goes on from a state that `regflow_move_save` saved, `length` bytes at `bytes`.
///
/// Errors: `REGFLOW_ERROR_STATE` if the state is damaged, or of another model or other options; nothing has changed then.
/// `REGFLOW_ERROR_ARGUMENT`. One thread at a time. Since 1.
///
/// # Safety
/// `move` is a move that was not freed, and `bytes` may be read for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_move_restore(
    r#move: *mut MoveHandle,
    bytes: *const u8,
    length: usize,
) -> Status {
    guard("regflow_move_restore", || {
        // SAFETY: the caller vouches for the move and the array.
        let (mut content, bytes) =
            unsafe { (exclusive("move", r#move)?, values("bytes", bytes, length)?) };
        content.metropolis.restore(bytes)?;
        Ok(())
    })
}
