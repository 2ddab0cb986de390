//! Tests of the whole crate against a dense model.
