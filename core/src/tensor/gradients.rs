//! Gradients of parameters, added up where they arise.
//!
//! Candle's store fills a tensor with zeros for every parameter and adds the gradient to it, in every backward pass; for small
//! batches that is a tenth of the time. Here the sums over many passes stand in one vector, to which the dense layer adds
//! its products as it computes them.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Storage, Tensor, TensorId};

thread_local! {
    /// Those of the backward pass that runs on this thread.
    static CURRENT: Cell<Option<Gradients>> = const { Cell::new(None) };
}

/// Sums over backward passes of the gradients of f32 parameters, one after the other in a vector.
pub(crate) struct Gradients {
    places: Arc<HashMap<TensorId, Range<usize>>>,
    sums: Vec<f32>,
}

impl Gradients {
    /// Zeros.
    pub fn new<'a>(parameters: impl Iterator<Item = &'a Tensor>) -> Self {
        let mut end = 0;
        let places = parameters
            .map(|parameter| {
                let start = end;
                end += parameter.elem_count();
                (parameter.id(), start..end)
            })
            .collect();
        Gradients {
            places: Arc::new(places),
            sums: vec![0.0; end],
        }
    }

    /// Zeros for the same parameters.
    pub fn zeros(&self) -> Self {
        Gradients {
            places: Arc::clone(&self.places),
            sums: vec![0.0; self.sums.len()],
        }
    }

    /// Adds the gradients of `loss`.
    ///
    /// # Errors
    /// Those of the backward pass.
    pub fn add(self, loss: &Tensor) -> Result<Self> {
        // Where a pass waits for other threads, its own may take up another pass: that one puts back what it found.
        let outer = CURRENT.replace(Some(self));
        let store = loss.backward();
        let own = CURRENT.replace(outer);
        let (store, Some(mut own)) = (store?, own) else {
            return Err(candle_core::Error::msg("the gradients of a pass are gone"));
        };
        for id in store.get_ids() {
            if let (Some(place), Some(gradient)) = (own.places.get(id), store.get_id(*id)) {
                add_entries(&mut own.sums[place.clone()], gradient)?;
            }
        }
        Ok(own)
    }

    /// The sums.
    pub fn into_sums(self) -> Vec<f32> {
        self.sums
    }
}

fn add_entries(sums: &mut [f32], gradient: &Tensor) -> Result<()> {
    let gradient = gradient.contiguous()?;
    let (storage, layout) = gradient.storage_and_layout();
    let mut add = |entries: &[f32]| {
        for (sum, entry) in sums.iter_mut().zip(entries) {
            *sum += entry;
        }
    };
    match &*storage {
        Storage::Cpu(storage) => add(&storage.as_slice()?[layout.start_offset()..]),
        _ => add(&gradient.flatten_all()?.to_vec1::<f32>()?),
    }
    Ok(())
}

/// Calls `add` with the sums of a parameter, if those are kept in the pass that runs on this thread; tells whether they are.
pub(super) fn collect(parameter: &Tensor, add: impl FnOnce(&mut [f32])) -> bool {
    let Some(mut current) = CURRENT.take() else {
        return false;
    };
    let place = current.places.get(&parameter.id()).cloned();
    let found = place.is_some();
    if let Some(place) = place {
        add(&mut current.sums[place]);
    }
    CURRENT.set(Some(current));
    found
}
