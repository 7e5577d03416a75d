//! What our `.safetensors` files have in common: a JSON header in their metadata, with a format version, and numbers.

use safetensors::tensor::SafeTensors;
use serde_json::Value;

/// Why a file has no header for this program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum HeaderFault {
    /// It is damaged, or something else; how that shows.
    Damaged(String),
    /// It is of another version of the format.
    Version(u64),
}

/// The header under `key`, of this `version` of the format. The version is looked at first: another version's header need not
/// fit the type of this one's.
///
/// # Errors
/// The file is cut off or no such file, or it is of another version.
pub(crate) fn header(bytes: &[u8], key: &str, version: u32) -> Result<Value, HeaderFault> {
    let damaged = HeaderFault::Damaged;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(e.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(key));
    let text = text.ok_or_else(|| damaged(format!("it has no \"{key}\" header")))?;
    let json: Value =
        serde_json::from_str(text).map_err(|e| damaged(format!("its header: {e}")))?;
    let found = json.get("format_version").and_then(Value::as_u64);
    match found.ok_or_else(|| damaged("its header has no version".into()))? {
        found if found == u64::from(version) => Ok(json),
        found => Err(HeaderFault::Version(found)),
    }
}

/// Numbers from the bytes of a tensor, which are little-endian and need not be aligned.
pub(crate) fn f32s(bytes: &[u8]) -> Vec<f32> {
    numbers(bytes, f32::from_le_bytes)
}

/// As [`f32s`].
pub(crate) fn f64s(bytes: &[u8]) -> Vec<f64> {
    numbers(bytes, f64::from_le_bytes)
}

fn numbers<T, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|&number| from(number)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    #[test]
    fn headers_are_told_apart() {
        let values = [1.5_f32, -2.0];
        let file = |text: &str| {
            let view = TensorView::new(Dtype::F32, vec![2], bytemuck::cast_slice(&values));
            let metadata = HashMap::from([("mine".to_owned(), text.to_owned())]);
            safetensors::serialize([("x", view.unwrap())], Some(metadata)).unwrap()
        };
        let found = header(&file(r#"{"format_version": 3, "a": 1}"#), "mine", 3).unwrap();
        assert_eq!(found["a"], 1);
        let fault = |bytes: &[u8], key| header(bytes, key, 3).unwrap_err();
        let newer = file(r#"{"format_version": 4}"#);
        assert_eq!(fault(&newer, "mine"), HeaderFault::Version(4));
        for (bytes, key, part) in [
            (&newer[..], "other", "no \"other\" header"),
            (&newer[..20], "mine", ""),
            (&file("{}"), "mine", "no version"),
            (&file("nothing"), "mine", "its header: "),
        ] {
            let HeaderFault::Damaged(reason) = fault(bytes, key) else {
                panic!("{key}")
            };
            assert!(reason.contains(part), "{reason}");
        }
        let bytes = bytemuck::cast_slice::<f32, u8>(&values);
        assert_eq!(f32s(bytes), values);
        assert_eq!(f64s(&1.25_f64.to_le_bytes()), [1.25]);
    }
}
