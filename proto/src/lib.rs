//! The latentd gRPC API, generated from `latentd/v1/*.proto`; nothing here is written by hand but the error pages.

/// Package `latentd.v1`.
pub mod v1 {
    tonic::include_proto!("latentd.v1");
}

/// The reason of every error and its page in Markdown, by reason.
pub const ERROR_PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The encoded `FileDescriptorSet` of the API, source comments included: for reflection and for the documentation test.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
