//! ExplanationService.

mod baselines;
mod by_hand;
mod explain;
mod export;
mod llamacpp;
mod pause;
mod reasoning;
mod refused;
mod score;
mod search;
mod servers;
