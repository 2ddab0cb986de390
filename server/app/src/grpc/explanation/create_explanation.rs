//! CreateExplanation: stores an explanation that somebody wrote. The same text by the same author is the same explanation.

use latentd_domain::SaeName;
use latentd_proto::v1 as pb;
use latentd_store::explanations::{HAND, NewExplanation, Provenance};

use super::message;
use crate::{
    app::Shared,
    grpc::{error::Error, latents::check_known, layers::Context, parse::Violations},
    residency,
};

/// Longest explanation, in bytes.
const MAX_TEXT: usize = 16 * 1024;
/// Longest name of an author, in bytes.
const MAX_AUTHOR: usize = 256;

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::CreateExplanationRequest,
) -> Result<pb::Explanation, Error> {
    let Parsed {
        sae,
        latent,
        text,
        author,
    } = parse(request)?;
    let entry = residency::sae(&app, &sae)?;
    check_known("latent", &[latent], &sae, entry.info.d_sae)?;
    let explanation = NewExplanation {
        sae,
        latent,
        text,
        explainer: HAND.to_owned(),
        provenance: Provenance {
            sae_digest: entry.info.digest.clone(),
            author,
            ..Provenance::default()
        },
    };
    let stored = app.store.explanations().create(&explanation).await?;
    Ok(message::explanation(stored))
}

#[derive(Debug)]
struct Parsed {
    sae: SaeName,
    latent: u32,
    text: String,
    author: String,
}

fn parse(request: pb::CreateExplanationRequest) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let sae = violations.parsed("sae", &request.sae);
    let text = request.text.trim();
    if text.is_empty() {
        violations.invalid("text", "must be set");
    }
    for (field, given, most) in [
        ("text", text, MAX_TEXT),
        ("author", request.author.as_str(), MAX_AUTHOR),
    ] {
        if given.len() > most {
            violations.invalid(field, format!("is longer than {most} bytes"));
        }
    }
    violations.finish(sae.map(|sae| Parsed {
        sae,
        latent: request.latent,
        text: text.to_owned(),
        author: request.author.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_trimmed_and_must_be_there() {
        let request = pb::CreateExplanationRequest {
            sae: "m/a".to_owned(),
            latent: 3,
            text: " rivers \n".to_owned(),
            author: "ada".to_owned(),
        };
        assert_eq!(parse(request.clone()).unwrap().text, "rivers");
        for bad in [" ".to_owned(), "x".repeat(20_000)] {
            let request = pb::CreateExplanationRequest {
                text: bad,
                ..request.clone()
            };
            assert!(parse(request).is_err());
        }
    }
}
