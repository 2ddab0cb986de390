//! The latentd gRPC API, generated from `latentd/v1/*.proto`; nothing here is written by hand but the error pages.

/// Package `latentd.v1`.
pub mod v1 {
    tonic::include_proto!("latentd.v1");
}

/// The encoded `FileDescriptorSet` of the API, source comments included: for reflection and for the documentation test.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
