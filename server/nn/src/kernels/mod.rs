//! The operations that layers and the encoder are made of. This is the one place that knows which kind of device a build is for.

pub mod cpu;
