//! Gradients of parameters, added up where they arise.
//!
//! Candle's store fills a tensor with zeros for every parameter and adds the gradient to it, in every backward pass; for small
//! batches that is a tenth of the time. Here the sums over many passes stand in one vector, to which the dense layer adds
//! its products as it computes them.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{Result, Storage, Tensor, TensorId};

thread_local! {
    /// Those of the backward pass that runs on this thread.
    static CURRENT: Cell<Option<Gradients>> = const { Cell::new(None) };
}

/// Sums over backward passes of the gradients of f32 parameters, one after the other in a vector. The parameters keep their
/// values as long as these or copies of these ([`Gradients::zeros`]) are there.
pub(crate) struct Gradients {
    parameters: Arc<HashMap<TensorId, Parameter>>,
    sums: Vec<f32>,
}

struct Parameter {
    /// Where its sums are.
    place: Range<usize>,
    /// The `Vec` of its transpose, once a pass has needed it.
    transposed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Gradients {
    /// Zeros.
    pub fn new<'a>(parameters: impl Iterator<Item = &'a Tensor>) -> Self {
        let mut end = 0;
        let parameters = parameters
            .map(|parameter| {
                let start = end;
                end += parameter.elem_count();
                let entry = Parameter {
                    place: start..end,
                    transposed: OnceLock::new(),
                };
                (parameter.id(), entry)
            })
            .collect();
        Gradients {
            parameters: Arc::new(parameters),
            sums: vec![0.0; end],
        }
    }

    /// Zeros for the same parameters.
    pub fn zeros(&self) -> Self {
        Gradients {
            parameters: Arc::clone(&self.parameters),
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
            if let (Some(parameter), Some(gradient)) = (own.parameters.get(id), store.get_id(*id)) {
                add_entries(&mut own.sums[parameter.place.clone()], gradient)?;
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
    let found = current.parameters.get(&parameter.id());
    let place = found.map(|parameter| parameter.place.clone());
    let found = place.is_some();
    if let Some(place) = place {
        add(&mut current.sums[place]);
    }
    CURRENT.set(Some(current));
    found
}

/// The transpose of a parameter, made once for all passes whose gradients are summed with those of this thread's; of another
/// matrix, made anew.
pub(super) fn transposed<T: Send + Sync + 'static>(
    matrix: &Tensor,
    make: impl Fn() -> Vec<T>,
) -> Arc<Vec<T>> {
    let current = CURRENT.take();
    let parameters = current
        .as_ref()
        .map(|current| Arc::clone(&current.parameters));
    CURRENT.set(current);
    parameters
        .as_ref()
        .and_then(|parameters| parameters.get(&matrix.id()))
        .map(|parameter| parameter.transposed.get_or_init(|| Arc::new(make())))
        .and_then(|kept| Arc::clone(kept).downcast().ok())
        .unwrap_or_else(|| Arc::new(make()))
}
