//! Finding, loading and checking plugins; the registry of what is linked in.
