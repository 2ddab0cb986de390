//! ListExplanations: explanations by SAE, latent and time, with their scores.

use latentd_domain::autointerp::ScorerKind;
use latentd_proto::v1 as pb;
use latentd_store::explanations::Filter;

use super::message;
use crate::{
    app::Shared,
    grpc::{
        error::Error, latents::check_set, layers::Context, page::store_page, parse::Violations,
    },
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListExplanationsRequest,
) -> Result<pb::ListExplanationsResponse, Error> {
    let limits = &app.config.limits;
    let page = store_page(
        request.page_size,
        request.page_token.clone(),
        limits.max_page_size,
    )?;
    let filter = parse(&request, limits.max_latents)?;
    let listed = app.store.explanations().list(&filter, &page).await?;
    let explanations = listed.items.into_iter().map(message::explanation);
    Ok(pb::ListExplanationsResponse {
        explanations: explanations.collect(),
        next_page_token: listed.next_page_token,
    })
}

fn parse(request: &pb::ListExplanationsRequest, max_latents: usize) -> Result<Filter, Error> {
    let mut violations = Violations::default();
    if !request.latents.is_empty() {
        check_set(&mut violations, "latents", &request.latents, max_latents);
    }
    let scorer = scorer(&mut violations, &request.scorer);
    for (field, bound) in [
        ("min_score", request.min_score),
        ("max_score", request.max_score),
    ] {
        if bound.is_some_and(f64::is_nan) {
            violations.invalid(field, "is not a number");
        }
        if bound.is_some() && request.scorer.is_empty() {
            violations.invalid(field, "needs a scorer: their scores have different scales");
        }
    }
    let filter = Filter {
        sae: violations.optional("sae", &request.sae),
        latents: request.latents.clone(),
        explainer: request.explainer.clone(),
        scorer,
        min_score: request.min_score,
        max_score: request.max_score,
        job: violations.optional("job", &request.job),
    };
    violations.check().map(|()| filter)
}

fn scorer(violations: &mut Violations, name: &str) -> Option<ScorerKind> {
    if name.is_empty() {
        return None;
    }
    let kind = ScorerKind::parse(name);
    if kind.is_none() {
        violations.invalid("scorer", format!("`{name}` is not a scorer"));
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_and_bounds_need_a_scorer() {
        let request = pb::ListExplanationsRequest {
            sae: "m/a".to_owned(),
            scorer: "detection".to_owned(),
            min_score: Some(0.7),
            latents: vec![3, 1],
            ..pb::ListExplanationsRequest::default()
        };
        let filter = parse(&request, 10).unwrap();
        assert_eq!(filter.scorer, Some(ScorerKind::Detection));
        assert_eq!(filter.latents, [3, 1]);
        let without = pb::ListExplanationsRequest {
            scorer: String::new(),
            ..request.clone()
        };
        assert!(parse(&without, 10).is_err());
        let unknown = pb::ListExplanationsRequest {
            scorer: "guess".to_owned(),
            job: "A B".to_owned(),
            ..request
        };
        assert!(parse(&unknown, 10).is_err());
    }
}
