//! GetLatent: norms of one latent, the tokens it promotes and suppresses, and its nearest latents.

use latentd_domain::{LatentName, Reason};
use latentd_engine::{LatentReport, Tokenizer};
use latentd_proto::v1 as pb;

use super::get_sae::resident;
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

/// Entries of each list if the request does not say.
const DEFAULT_COUNT: u32 = 10;
/// Most entries of each list.
const MAX_COUNT: u32 = 100;

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetLatentRequest,
) -> Result<pb::Latent, Error> {
    let (name, count) = parse(&request)?;
    let sae = resident(&app, &name.sae)?;
    if name.latent as usize >= sae.info.d_sae {
        let message = format!(
            "{} has {} latents, numbered from 0",
            name.sae, sae.info.d_sae
        );
        let error = Error::new(
            Reason::UnknownLatent,
            format!("{name} does not exist: {message}"),
        );
        return Err(error.with("d_sae", sae.info.d_sae));
    }
    let catalog = app.engine.catalog();
    let model = catalog.models.get(name.sae.model()).cloned();
    let report = app
        .engine
        .latent(name.sae.clone(), name.latent, count as usize)
        .await?;
    let tokenizer = model.map(|entry| std::sync::Arc::clone(&entry.tokenizer));
    Ok(reply(&name, report, tokenizer.as_deref()))
}

fn parse(request: &pb::GetLatentRequest) -> Result<(LatentName, u32), Error> {
    let mut violations = Violations::default();
    let name = violations.parsed("name", &request.name);
    if request.count > MAX_COUNT {
        violations.invalid(
            "count",
            format!("{} is more than {MAX_COUNT}", request.count),
        );
    }
    let count = if request.count == 0 {
        DEFAULT_COUNT
    } else {
        request.count
    };
    violations.finish(name.map(|name| (name, count)))
}

fn reply(name: &LatentName, report: LatentReport, tokenizer: Option<&Tokenizer>) -> pb::Latent {
    let text = |id| {
        tokenizer
            .map(|tokenizer| tokenizer.token_text(id).to_owned())
            .unwrap_or_default()
    };
    let logits = |entries: Vec<(u32, f32)>| {
        entries
            .into_iter()
            .map(|(id, logit)| pb::TokenLogit {
                id,
                token: text(id),
                logit,
            })
            .collect()
    };
    let neighbours = report.neighbours.into_iter();
    pb::Latent {
        name: name.to_string(),
        latent: report.latent,
        encoder_norm: report.encoder_norm,
        decoder_norm: report.decoder_norm,
        encoder_decoder_cosine: report.encoder_decoder_cosine,
        encoder_bias: report.encoder_bias,
        threshold: report.threshold,
        top_logits: logits(report.top_logits),
        bottom_logits: logits(report.bottom_logits),
        neighbours: neighbours
            .map(|(latent, cosine)| pb::Neighbour { latent, cosine })
            .collect(),
    }
}
