//! Layers of a transformer: one definition each, configured by value. Families differ in which they choose, not in code.

mod attention;
mod block;
mod decoder;
mod extend;
mod hooks;
mod mlp;
mod norm;
mod rope;
mod taps;

pub(crate) use self::{
    attention::Attention,
    block::Block,
    decoder::{Decoder, Parts},
    hooks::Hooks,
    mlp::Mlp,
    norm::Norm,
    rope::Rope,
};
