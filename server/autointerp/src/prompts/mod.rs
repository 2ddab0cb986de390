//! What is said to language models. A change of anything here that is sent raises the version of the explainer or scorer that
//! sends it; snapshots hold that it is noticed.
//!
//! Objects in JSON have their fields in the order of the alphabet: they are written in it or in the order given here,
//! depending on a feature of serde_json, and the same call must have the same text in every build.

pub(crate) mod classify;
pub(crate) mod complete;
pub(crate) mod explain;
pub(crate) mod intruder;
pub(crate) mod shots;
pub(crate) mod simulate;
pub(crate) mod surprise;
