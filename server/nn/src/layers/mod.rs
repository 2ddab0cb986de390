//! Layers of a transformer.
