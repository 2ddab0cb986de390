//! Encode: prompts through one model and several SAEs in one pass.

use std::sync::Arc;

use latentd_domain::{Reason, SparseActivations};
use latentd_engine::EncodeOutput;
use latentd_proto::v1 as pb;

use super::encode_request::Parsed;
use crate::{
    app::Shared,
    grpc::{blocking, convert, error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    context: Context,
    request: pb::EncodeRequest,
) -> Result<pb::EncodeResponse, Error> {
    let limits = app.config.limits;
    let parsed = Parsed::of(request, &limits)?;
    let scale = parsed.scale;
    let residents = Arc::new(parsed.residents(&app)?);
    let prepared = {
        let residents = Arc::clone(&residents);
        blocking(move || parsed.prepare(&residents, &limits, context.deadline)).await?
    };
    let output = app.engine.encode(prepared.work).await?;
    check_size(&output, limits.max_message_bytes)?;
    let EncodeOutput { activations, cost } = output;
    let activations = activations.into_iter().zip(&residents.saes);
    let activations = activations.map(|(rows, sae)| {
        let SparseActivations {
            row_offsets,
            latents,
            activations,
        } = rows;
        pb::SaeActivations {
            sae: sae.name.to_string(),
            hook_point: sae.info.hook_point.to_string(),
            sae_digest: sae.info.digest.clone(),
            d_sae: sae.info.d_sae as u32,
            row_offsets,
            latents,
            activations,
            scale: convert::scale(scale).into(),
        }
    });
    Ok(pb::EncodeResponse {
        activations: activations.collect(),
        prompts: prepared.prompts,
        model_digest: residents.model.info.digest.clone(),
        cost: Some(convert::cost(cost)),
    })
}

/// Refuses a reply that would be over the message limit, with a reason instead of the transport's bare error. An index takes
/// at most five bytes, an activation four.
fn check_size(output: &EncodeOutput, max: usize) -> Result<(), Error> {
    let entries: usize = output
        .activations
        .iter()
        .map(SparseActivations::entries)
        .sum();
    let rows: usize = output.activations.iter().map(SparseActivations::rows).sum();
    let most = entries
        .saturating_mul(9)
        .saturating_add(rows.saturating_mul(5));
    if most <= max {
        return Ok(());
    }
    let message = format!(
        "the reply would hold {entries} activations, about {most} bytes, over the limit max_message_bytes of {max}; \
         send fewer tokens, or ask for less with top_k"
    );
    Err(Error::new(Reason::BatchTooLarge, message))
}
