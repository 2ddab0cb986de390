//! GetWindows: windows of a cache, by their ids.

use latentd_domain::{CacheId, Example, Reason, autointerp::ExampleId};
use latentd_engine::Tokenizer;
use latentd_proto::v1 as pb;

use super::source::{Named, tokenizer};
use crate::{
    app::Shared,
    config::Limits,
    grpc::{blocking, error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetWindowsRequest,
) -> Result<pb::GetWindowsResponse, Error> {
    let Parsed { cache, of, ids } = parse(request, &app.config.limits)?;
    let (cache, of) = match of {
        Some((named, latent)) => {
            let source = named.open(&app).await?;
            (source.cache, Some((source.sae, latent)))
        }
        None => (app.caches.get(&app.store, &cache).await?, None),
    };
    let tokenizer = tokenizer(&app, &cache, "")?;
    blocking(move || {
        let examples = match &of {
            Some((sae, latent)) => cache.windows(sae, *latent, &ids)?,
            None => cache.texts(&ids)?,
        };
        let windows = ids
            .iter()
            .zip(examples)
            .map(|(id, example)| window(id, example, of.is_some(), &tokenizer));
        Ok(pb::GetWindowsResponse {
            windows: windows.collect(),
        })
    })
    .await
}

fn window(id: &ExampleId, example: Example, fires: bool, tokenizer: &Tokenizer) -> pb::Window {
    pb::Window {
        id: id.to_string(),
        document: example.document,
        row: example.row,
        start: example.start,
        tokens: tokenizer.token_texts(&example.ids),
        ids: example.ids,
        activations: if fires {
            example.activations
        } else {
            Vec::new()
        },
    }
}

#[derive(Debug)]
struct Parsed {
    cache: CacheId,
    /// The latent whose activations are wanted, with what names its SAE.
    of: Option<(Named, u32)>,
    ids: Vec<ExampleId>,
}

fn parse(request: pb::GetWindowsRequest, limits: &Limits) -> Result<Parsed, Error> {
    let pb::GetWindowsRequest {
        cache,
        windows,
        sae,
        latent,
    } = request;
    let mut violations = Violations::default();
    let id = violations.parsed("cache", &cache);
    let named = id
        .is_some()
        .then(|| Named::parse(&mut violations, &cache, &sae));
    if latent.is_none() && !sae.is_empty() {
        violations.invalid("latent", "must be set with an SAE");
    }
    if windows.is_empty() {
        let description = "at least one window is needed";
        violations.add("windows", Reason::EmptyBatch, description);
    }
    let max = (limits.max_examples as u64, "max_examples");
    violations.at_most("windows", windows.len() as u64, max);
    let ids: Vec<ExampleId> = windows
        .iter()
        .enumerate()
        .filter_map(|(index, text)| violations.parsed(&format!("windows[{index}]"), text))
        .collect();
    let max = (limits.max_window as u64, "max_window");
    for (index, id) in ids.iter().enumerate() {
        violations.at_most(&format!("windows[{index}]"), u64::from(id.len), max);
    }
    violations.finish(id.map(|cache| Parsed {
        cache,
        of: named.zip(latent),
        ids,
    }))
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::config::Config;

    fn fields(request: pb::GetWindowsRequest) -> Vec<String> {
        let limits = Config::with_data_dir(std::path::Path::new("/nowhere"))
            .unwrap()
            .limits;
        let status = tonic::Status::from(parse(request, &limits).unwrap_err());
        let details = status.get_details_bad_request().unwrap();
        let violations = details.field_violations.into_iter();
        violations.map(|violation| violation.field).collect()
    }

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::GetWindowsRequest {
            sae: "m/s".to_owned(),
            windows: vec!["3".to_owned(), format!("1:0+{}", u32::MAX)],
            ..pb::GetWindowsRequest::default()
        };
        assert_eq!(
            fields(request),
            ["cache", "latent", "windows[0]", "windows[0]"]
        );
        let nothing = pb::GetWindowsRequest {
            cache: "c".to_owned(),
            ..pb::GetWindowsRequest::default()
        };
        assert_eq!(fields(nothing), ["windows"]);
    }
}
