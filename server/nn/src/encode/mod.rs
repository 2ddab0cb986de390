//! The sparse encoder.
