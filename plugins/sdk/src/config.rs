//! Configurations: JSON in, JSON schema out.

use crate::error::Result;

/// The JSON schema of `C`, for the life of the process.
pub(crate) fn schema<C: schemars::JsonSchema>() -> &'static str {
    let text = schemars::schema_for!(C).as_value().to_string();
    Box::leak(text.into_boxed_str())
}

/// Reads a configuration; empty text gives the defaults.
pub(crate) fn read<C: serde::de::DeserializeOwned + Default>(text: &str) -> Result<C> {
    if text.trim().is_empty() {
        return Ok(C::default());
    }
    Ok(serde_json::from_str(text)?)
}
