//! Whatever the bytes of a model file are, loading gives a model that can be used, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regflow::model::Model;
use regflow::tensor::Device;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::from_bytes(bytes, &Device::Cpu) else {
        return;
    };
    if let Ok(samples) = model.sample(2, 1, 0) {
        // An error is fine, a panic is not.
        let _ = model.log_density(&samples.positions);
    }
});
