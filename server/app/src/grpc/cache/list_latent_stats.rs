//! ListLatentStats: statistics of latents over a cache, by latent.

use latentd_proto::v1 as pb;

use super::source::Named;
use crate::{
    app::Shared,
    config::Limits,
    grpc::{
        blocking, convert,
        error::Error,
        latents::check_known,
        layers::Context,
        page::{Page, token},
        parse::Violations,
    },
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListLatentStatsRequest,
) -> Result<pb::ListLatentStatsResponse, Error> {
    let Parsed {
        named,
        page,
        first,
        latents,
        omit_histogram,
    } = parse(request, &app.config.limits)?;
    let source = named.open(&app).await?;
    let d_sae = source.d_sae;
    check_known("latents", &latents, &source.sae, d_sae as usize)?;
    blocking(move || {
        let mut wanted: Vec<u32> = if latents.is_empty() {
            (first..d_sae).take(page.size + 1).collect()
        } else {
            latents
                .into_iter()
                .filter(|&latent| latent >= first)
                .take(page.size + 1)
                .collect()
        };
        let more = wanted.len() > page.size;
        wanted.truncate(page.size);
        let last = wanted.last().filter(|_| more);
        let next_page_token = last
            .map(|latent| token(&latent.to_string()))
            .unwrap_or_default();
        let stats = |latent| {
            let stats = source.cache.stats(&source.sae, latent)?;
            Ok(convert::latent_stats(stats, omit_histogram))
        };
        let stats = wanted
            .into_iter()
            .map(stats)
            .collect::<Result<_, Error>>()?;
        Ok(pb::ListLatentStatsResponse {
            stats,
            next_page_token,
            cache: source.id.to_string(),
        })
    })
    .await
}

#[derive(Debug)]
struct Parsed {
    named: Named,
    page: Page,
    /// First latent of the page.
    first: u32,
    /// Sorted and without duplicates.
    latents: Vec<u32>,
    omit_histogram: bool,
}

fn parse(request: pb::ListLatentStatsRequest, limits: &Limits) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let named = Named::parse(&mut violations, &request.cache, &request.sae);
    let (size, token) = (request.page_size, &request.page_token);
    let page = Page::parse(&mut violations, size, token, limits.max_page_size);
    let after = page.after.as_ref().map(|after| after.parse::<u32>());
    if matches!(after, Some(Err(_))) {
        violations.invalid("page_token", "is not a token of this call");
    }
    let first = after
        .and_then(Result::ok)
        .map_or(0, |after| after.saturating_add(1));
    let max_latents = (limits.max_latents as u64, "max_latents");
    violations.at_most("latents", request.latents.len() as u64, max_latents);
    let mut latents = request.latents;
    latents.sort_unstable();
    latents.dedup();
    let omit_histogram = request.omit_histogram;
    violations.check().map(|()| Parsed {
        named,
        page,
        first,
        latents,
        omit_histogram,
    })
}
