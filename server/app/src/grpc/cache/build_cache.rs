//! BuildCache: checks the request against what is resident, fills in the defaults, and writes the cache and its job.

use std::path::{Path, PathBuf};

use latentd_domain::{
    ActivationDtype, BuildCacheSpec, CacheId, Corpus, CorpusFormat, CorpusId, Reason, SaeName,
    SpecialTokens,
};
use latentd_files::Kind;
use latentd_proto::v1 as pb;
use latentd_store::jobs::{NewJob, RequestKey};
use prost::Message;

use crate::{
    app::{App, Shared},
    config::Limits,
    grpc::{blocking, check_named, convert, error::Error, layers::Context, parse::Violations},
    jobs::BUILD_CACHE,
    residency::{self, Residents},
};

/// Longest row if neither the request nor the SAEs say.
const DEFAULT_CONTEXT: usize = 256;
/// Longest request id.
const MAX_REQUEST_ID: usize = 128;

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::BuildCacheRequest,
) -> Result<pb::Job, Error> {
    let key = (!request.request_id.is_empty()).then(|| RequestKey {
        id: request.request_id.clone(),
        digest: blake3::hash(&request.encode_to_vec()).to_hex().to_string(),
    });
    let parsed = parse(request, &app.config.limits)?;
    if let Some(key) = &key {
        // A repeated request is answered whatever has become of its SAEs and files meanwhile.
        if let Some(job) = app.store.jobs().submitted(BUILD_CACHE, key).await? {
            return Ok(convert::job(job));
        }
    }
    let spec = complete(&app, parsed)?;
    if let Some(id) = &spec.corpus.uploaded {
        app.corpora.touch(id).await?;
    } else {
        check_named(&app, named(&spec.corpus.paths)).await?;
        check_paths(spec.corpus.paths.clone()).await?;
    }
    let model = spec.saes.first().map(|sae| sae.model().clone());
    let model = model.ok_or_else(|| Error::internal("a cache without an SAE"))?;
    let job = NewJob {
        kind: BUILD_CACHE.to_owned(),
        spec: serde_json::to_value(&spec).map_err(|error| Error::internal(error.to_string()))?,
        result: spec.cache.to_string(),
        request: key,
    };
    let submitted = app.store.caches().submit(&spec, &model, &job).await?;
    Ok(convert::job(submitted.into_job()))
}

/// A parsed request, with what the SAEs decide left open.
#[derive(Debug)]
struct Parsed {
    cache: CacheId,
    saes: Vec<SaeName>,
    corpus: Corpus,
    context_length: Option<usize>,
    max_tokens: Option<u64>,
    seed: u64,
    prepend_bos: Option<bool>,
    special_tokens: SpecialTokens,
    activation_dtype: ActivationDtype,
}

fn parse(request: pb::BuildCacheRequest, limits: &Limits) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let cache = if request.cache_id.is_empty() {
        let id = uuid::Uuid::new_v4().simple().to_string();
        format!("cache-{}", id.get(..12).unwrap_or(&id))
            .parse()
            .ok()
    } else {
        violations.parsed("cache_id", &request.cache_id)
    };
    let saes: Vec<SaeName> = violations.names("saes", &request.saes);
    if request.saes.is_empty() {
        violations.add("saes", Reason::EmptyBatch, "at least one SAE is needed");
    }
    violations.at_most(
        "saes",
        request.saes.len() as u64,
        (limits.max_saes as u64, "max_saes"),
    );
    if saes.iter().any(|sae| {
        saes.first()
            .is_some_and(|first| first.model() != sae.model())
    }) {
        violations.invalid("saes", "all SAEs must be of the same model");
    }
    if request.request_id.len() > MAX_REQUEST_ID {
        violations.invalid(
            "request_id",
            format!("is longer than {MAX_REQUEST_ID} characters"),
        );
    }
    let corpus = corpus(&mut violations, request.corpus);
    let special_tokens = violations.special_tokens("special_tokens", request.special_tokens);
    let activation_dtype = match request.activation_dtype.as_str() {
        "" | "f16" => ActivationDtype::F16,
        "f32" => ActivationDtype::F32,
        other => {
            violations.invalid("activation_dtype", format!("`{other}` is not f16 or f32"));
            ActivationDtype::F16
        }
    };
    violations.finish(cache.zip(corpus).map(|(cache, corpus)| Parsed {
        cache,
        saes,
        corpus,
        context_length: (request.context_length > 0).then_some(request.context_length as usize),
        max_tokens: (request.max_tokens > 0).then_some(request.max_tokens),
        seed: request.seed,
        prepend_bos: request.prepend_bos,
        special_tokens,
        activation_dtype,
    }))
}

fn corpus(violations: &mut Violations, corpus: Option<pb::Corpus>) -> Option<Corpus> {
    let Some(pb::Corpus {
        paths: given,
        format,
        text_field,
        uploaded,
    }) = corpus
    else {
        violations.invalid("corpus", "must be set");
        return None;
    };
    let uploaded = violations.optional::<CorpusId>("corpus.uploaded", &uploaded);
    if uploaded.is_some() {
        for (field, is_set) in [
            ("corpus.paths", !given.is_empty()),
            ("corpus.format", format != 0),
            ("corpus.text_field", !text_field.is_empty()),
        ] {
            if is_set {
                violations.invalid(field, "must not be set beside corpus.uploaded");
            }
        }
    } else if given.is_empty() {
        violations.invalid("corpus.paths", "at least one file or folder is needed");
    }
    let mut paths = Vec::with_capacity(given.len());
    for (index, path) in given.iter().enumerate() {
        let path = violations.path(&format!("corpus.paths[{index}]"), path);
        paths.extend(path.map(|path| path.to_string_lossy().into_owned()));
    }
    let format = match pb::corpus::Format::try_from(format) {
        Ok(pb::corpus::Format::Unspecified) => CorpusFormat::Auto,
        Ok(pb::corpus::Format::Text) => CorpusFormat::Text,
        Ok(pb::corpus::Format::Lines) => CorpusFormat::Lines,
        Ok(pb::corpus::Format::Jsonl) => CorpusFormat::Jsonl,
        Ok(pb::corpus::Format::Parquet) => CorpusFormat::Parquet,
        Ok(pb::corpus::Format::Arrow) => CorpusFormat::Arrow,
        Err(_) => {
            violations.invalid("corpus.format", format!("{format} is no value of Format"));
            CorpusFormat::Auto
        }
    };
    Some(Corpus {
        paths,
        format,
        text_field: if text_field.is_empty() {
            "text".to_owned()
        } else {
            text_field
        },
        uploaded,
    })
}

/// Fills in what the model and the SAEs decide, and checks the rest against them.
fn complete(app: &App, parsed: Parsed) -> Result<BuildCacheSpec, Error> {
    let Residents { model, saes } = residency::residents(app, &parsed.saes)?;
    let mut violations = Violations::default();
    let trained = saes.iter().filter_map(|sae| sae.info.context_length).min();
    let most = model.info.context_length;
    let default = trained.unwrap_or(DEFAULT_CONTEXT).min(most);
    let context_length = parsed.context_length.unwrap_or(default);
    let prepends = saes.first().is_some_and(|sae| sae.info.prepend_bos);
    let has_bos = model.tokenizer.bos().is_some();
    let prepend_bos = parsed.prepend_bos.unwrap_or(prepends && has_bos);
    if prepend_bos && !has_bos {
        let description = format!("{} has no beginning-of-sequence token", model.id);
        violations.invalid("prepend_bos", description);
    }
    let least = 1 + usize::from(prepend_bos);
    if !(least..=most).contains(&context_length) {
        let description = format!("{context_length} is not between {least} and the model's {most}");
        violations.invalid("context_length", description);
    }
    violations.check()?;
    Ok(BuildCacheSpec {
        cache: parsed.cache,
        saes: parsed.saes,
        corpus: parsed.corpus,
        context_length,
        max_tokens: parsed.max_tokens,
        seed: parsed.seed,
        prepend_bos,
        special_tokens: parsed.special_tokens,
        activation_dtype: parsed.activation_dtype,
    })
}

/// Paths with the fields that they are in.
fn named(paths: &[String]) -> Vec<(String, PathBuf)> {
    let paths = paths.iter().enumerate();
    paths
        .map(|(index, path)| (format!("corpus.paths[{index}]"), path.into()))
        .collect()
}

/// Tells at once about paths that are not there or lead to no file or folder, rather than in a job that fails.
async fn check_paths(paths: Vec<String>) -> Result<(), Error> {
    blocking(move || {
        let mut violations = Violations::default();
        for (index, path) in paths.iter().enumerate() {
            let problem = match latentd_files::kind(Path::new(path)) {
                Ok(Kind::File | Kind::Folder) => continue,
                Ok(kind) => format!("{path} is {kind}, neither a file nor a folder"),
                Err(error) => error.to_string(),
            };
            let field = format!("corpus.paths[{index}]");
            violations.add(field, Reason::PathNotReadable, problem);
        }
        violations.check()
    })
    .await
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        Config::with_data_dir(Path::new("/nowhere")).unwrap().limits
    }

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::BuildCacheRequest {
            cache_id: "A".to_owned(),
            saes: vec!["m/a".to_owned(), "n/b".to_owned()],
            corpus: Some(pb::Corpus {
                paths: vec![],
                format: 77,
                ..pb::Corpus::default()
            }),
            special_tokens: 5,
            activation_dtype: "f8".to_owned(),
            request_id: "x".repeat(200),
            ..pb::BuildCacheRequest::default()
        };
        let status = tonic::Status::from(parse(request, &limits()).unwrap_err());
        let fields = status.get_details_bad_request().unwrap().field_violations;
        let names: Vec<&str> = fields
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "cache_id",
                "saes",
                "request_id",
                "corpus.paths",
                "corpus.format",
                "special_tokens",
                "activation_dtype"
            ]
        );
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let corpus = pb::Corpus {
            paths: vec!["/c".to_owned()],
            ..pb::Corpus::default()
        };
        let request = pb::BuildCacheRequest {
            saes: vec!["m/a".to_owned()],
            corpus: Some(corpus),
            ..pb::BuildCacheRequest::default()
        };
        let parsed = parse(request, &limits()).unwrap();
        assert!(parsed.cache.id().starts_with("cache-"));
        assert_eq!((parsed.context_length, parsed.max_tokens), (None, None));
        assert_eq!(parsed.corpus.text_field, "text");
        assert_eq!(parsed.activation_dtype, ActivationDtype::F16);
    }

    #[tokio::test]
    async fn paths_that_are_not_there_are_told_at_once() {
        let paths = vec!["/nowhere/a".to_owned(), "/nowhere/b".to_owned()];
        let error = check_paths(paths).await.unwrap_err();
        assert_eq!(error.reason(), Reason::PathNotReadable);
    }
}
