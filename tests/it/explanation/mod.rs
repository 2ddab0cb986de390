//! ExplanationService.

mod baselines;
mod by_hand;
mod characters;
mod explain;
mod export;
mod faults;
mod llamacpp;
mod outage;
mod pause;
mod reasoning;
mod refused;
mod score;
mod search;
mod servers;
