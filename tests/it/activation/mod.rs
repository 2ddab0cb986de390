//! ActivationService.

mod decode;
mod encode;
mod encode_stream;
