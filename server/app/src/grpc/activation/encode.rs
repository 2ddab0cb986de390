//! Encode: prompts through one model and several SAEs in one pass.

use std::sync::Arc;

use latentd_domain::{HasReason, Reason, SparseActivations};
use latentd_engine::EncodeOutput;
use latentd_proto::v1 as pb;

use super::encode_request::Parsed;
use crate::{
    app::Shared,
    grpc::{blocking_until, convert, error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    context: Context,
    request: pb::EncodeRequest,
) -> Result<pb::EncodeResponse, Error> {
    let limits = app.config.limits;
    let parsed = Parsed::of(request, &limits)?;
    let (scale, packed) = (parsed.scale, parsed.packed);
    let residents = Arc::new(parsed.residents(&app)?);
    // What would be refused behind the tokenizer is refused before it.
    app.engine.room_for(context.deadline)?;
    let prepared = {
        let residents = Arc::clone(&residents);
        let deadline = context.deadline;
        blocking_until(deadline, move |interrupt| {
            parsed.prepare(&residents, &limits, deadline, interrupt)
        })
        .await?
    };
    let room = prepared.work.max_entries as u64;
    let encoded = app.engine.encode(prepared.work).await;
    let EncodeOutput { activations, cost } = encoded.map_err(|error| match error.reason() {
        Reason::BatchTooLarge => too_large(room, limits.max_message_bytes as u64),
        _ => error.into(),
    })?;
    let activations = activations.into_iter().zip(&residents.saes);
    let activations = activations.map(|(rows, sae)| pb::SaeActivations {
        sae: sae.name.to_string(),
        hook_point: sae.info.hook_point.to_string(),
        sae_digest: sae.info.digest.clone(),
        d_sae: sae.info.d_sae as u32,
        scale: convert::scale(scale).into(),
        dense_latents: convert::dense_latents(&sae.info),
        ..columns(rows, packed)
    });
    Ok(pb::EncodeResponse {
        activations: activations.collect(),
        prompts: prepared.prompts,
        model_digest: residents.model.info.digest.clone(),
        cost: Some(convert::cost(cost)),
    })
}

/// The three columns, as bytes or as repeated fields.
fn columns(rows: SparseActivations, packed: bool) -> pb::SaeActivations {
    if packed {
        return pb::SaeActivations {
            packed_row_offsets: convert::bytes_of_u32(&rows.row_offsets),
            packed_latents: convert::bytes_of_u32(&rows.latents),
            packed_activations: convert::bytes_of_f32(&rows.activations),
            ..pb::SaeActivations::default()
        };
    }
    pb::SaeActivations {
        row_offsets: rows.row_offsets,
        latents: rows.latents,
        activations: rows.activations,
        ..pb::SaeActivations::default()
    }
}

/// The refusal of a reply that would be over the message limit, instead of the transport's bare error. It has room for `room`
/// activations.
pub(super) fn too_large(room: u64, max_message_bytes: u64) -> Error {
    let message = format!(
        "the reply would hold more than {room} activations, which is all that fits into max_message_bytes, \
         {max_message_bytes}; ask for fewer latents of each token with top_k, or send fewer prompts or SAEs at once"
    );
    Error::new(Reason::BatchTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_columns_are_the_numbers_as_bytes() {
        let rows = SparseActivations {
            row_offsets: vec![0, 0, 2],
            latents: vec![3, 70_000],
            activations: vec![0.5, -2.0],
        };
        let plain = columns(rows.clone(), false);
        let packed = columns(rows.clone(), true);
        assert_eq!(
            (plain.row_offsets, plain.latents, plain.activations),
            (rows.row_offsets, rows.latents, rows.activations)
        );
        assert_eq!(
            packed.packed_row_offsets,
            [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]
        );
        assert_eq!(packed.packed_latents, [3, 0, 0, 0, 0x70, 0x11, 1, 0]);
        assert_eq!(packed.packed_activations, [0, 0, 0, 0x3F, 0, 0, 0, 0xC0]);
        assert!(plain.packed_latents.is_empty() && packed.latents.is_empty());
    }
}
