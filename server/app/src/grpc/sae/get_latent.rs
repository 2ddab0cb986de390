//! GetLatent: norms of one latent, the tokens it promotes and suppresses, and its nearest latents.

use latentd_domain::LatentName;
use latentd_engine::{LatentReport, Tokenizer};
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, latents::check_known, layers::Context, parse::Violations},
    residency,
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
    let sae = residency::sae(&app, &name.sae)?;
    check_known("name", &[name.latent], &name.sae, sae.info.d_sae)?;
    let model = residency::model(&app, name.sae.model())?;
    let report = app
        .engine
        .latent(name.sae.clone(), name.latent, count as usize)
        .await?;
    Ok(reply(&name, report, &model.tokenizer))
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

fn reply(name: &LatentName, report: LatentReport, tokenizer: &Tokenizer) -> pb::Latent {
    let text = |id| tokenizer.token_text(id).to_owned();
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
