//! Maps between molecules and flow features, with exact volume elements.
