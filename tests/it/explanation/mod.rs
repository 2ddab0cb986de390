//! ExplanationService.

mod by_hand;
mod explain;
mod export;
mod llamacpp;
mod pause;
mod refused;
mod score;
mod search;
mod servers;
