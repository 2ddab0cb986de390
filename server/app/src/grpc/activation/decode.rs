//! Decode: latents back into dense vectors at the SAE's hook point.

use latentd_domain::{Reason, SaeName, Scale, SparseActivations};
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    config::Limits,
    grpc::{convert, error::Error, latents::check_known, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::DecodeRequest,
) -> Result<pb::DecodeResponse, Error> {
    let limits = &app.config.limits;
    let Parsed {
        sae,
        activations,
        scale,
        packed,
    } = parse(request, limits)?;
    let entry = residency::sae(&app, &sae)?;
    check_known("latents", &activations.latents, &sae, entry.info.d_sae)?;
    check_size(
        activations.rows(),
        entry.info.d_in,
        limits.max_message_bytes,
    )?;
    let dense = app.engine.decode(sae, activations, scale).await?;
    let (values, packed_values) = if packed {
        (Vec::new(), convert::bytes_of_f32(&dense.values))
    } else {
        (dense.values, Vec::new())
    };
    Ok(pb::DecodeResponse {
        hook_point: entry.info.hook_point.to_string(),
        rows: dense.rows as u32,
        width: dense.width as u32,
        values,
        packed_values,
    })
}

#[derive(Debug)]
struct Parsed {
    sae: SaeName,
    activations: SparseActivations,
    scale: Scale,
    packed: bool,
}

fn parse(request: pb::DecodeRequest, limits: &Limits) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let sae = violations.parsed("sae", &request.sae);
    let scale = violations.scale("scale", request.scale);
    let pb::DecodeRequest {
        row_offsets,
        latents,
        activations,
        packed,
        ..
    } = request;
    let csr = SparseActivations {
        row_offsets,
        latents,
        activations,
    };
    if csr.rows() == 0 {
        violations.add(
            "row_offsets",
            Reason::EmptyBatch,
            "at least one row is needed",
        );
    } else if let Err(error) = csr.check() {
        violations.invalid("row_offsets", error.to_string());
    }
    violations.at_most(
        "row_offsets",
        csr.rows() as u64,
        (limits.max_tokens as u64, "max_tokens"),
    );
    if let Some(index) = csr.activations.iter().position(|value| !value.is_finite()) {
        violations.invalid(format!("activations[{index}]"), "is not a finite number");
    }
    violations.finish(sae.map(|sae| Parsed {
        sae,
        activations: csr,
        scale,
        packed,
    }))
}

fn check_size(rows: usize, width: usize, max: usize) -> Result<(), Error> {
    let bytes = rows.saturating_mul(width).saturating_mul(size_of::<f32>());
    if bytes <= max {
        return Ok(());
    }
    let message = format!(
        "the reply would take {bytes} bytes, over the limit max_message_bytes of {max}; decode fewer rows at once"
    );
    Err(Error::new(Reason::BatchTooLarge, message))
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        Config::with_data_dir(std::path::Path::new("/nowhere"))
            .unwrap()
            .limits
    }

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::DecodeRequest {
            sae: "x".to_owned(),
            row_offsets: vec![0, 2, 1],
            latents: vec![1],
            activations: vec![f32::INFINITY],
            scale: 7,
            ..pb::DecodeRequest::default()
        };
        let status = tonic::Status::from(parse(request, &limits()).unwrap_err());
        let fields = status.get_details_bad_request().unwrap().field_violations;
        let names: Vec<&str> = fields
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(names, ["sae", "scale", "row_offsets", "activations[0]"]);
    }

    #[test]
    fn no_rows_are_an_empty_batch() {
        for row_offsets in [vec![], vec![0]] {
            let sae = "m/s".to_owned();
            let request = pb::DecodeRequest {
                sae,
                row_offsets,
                ..pb::DecodeRequest::default()
            };
            assert_eq!(
                parse(request, &limits()).unwrap_err().reason(),
                Reason::EmptyBatch
            );
        }
    }

    #[test]
    fn a_reply_over_the_limit_is_refused() {
        assert!(check_size(10, 10, 400).is_ok());
        assert_eq!(
            check_size(10, 10, 399).unwrap_err().reason(),
            Reason::BatchTooLarge
        );
    }
}
