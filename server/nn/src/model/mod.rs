//! Language models.

/// A language model on the device.
#[derive(Debug)]
pub struct Model;
