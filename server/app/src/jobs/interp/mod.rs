//! Auto-interpretation: latents are explained and explanations scored, item by item, by every process on the database.
//!
//! [`leader`] makes the items of a job and ends it. [`workers`] claim them; [`item`] is one: [`explain`] is stage 0 of a latent,
//! [`score`] each later one. Examples come from [`subject`] and [`silent`], answers through [`exchange`], which keeps each before
//! it is read; [`under_way`] sees to it that every call is settled. [`writer`] commits in batches. [`held`] are the items whose leases
//! this process renews.

mod encoder;
mod exchange;
mod explain;
mod held;
mod item;
mod leader;
mod ledger;
mod score;
mod silent;
mod subject;
mod under_way;
mod work;
mod workers;
mod writer;

use latentd_domain::autointerp::AutointerpSpec;

pub(super) use leader::Leader;
pub(crate) use workers::Workers;

use super::Uses;

/// What a job needs to stay resident.
pub(super) fn uses(spec: &AutointerpSpec) -> Uses {
    Uses {
        saes: vec![spec.sae.clone()],
        models: spec
            .scorers
            .iter()
            .filter_map(|scorer| scorer.encoder.clone())
            .collect(),
    }
}
