//! The first phase of a build: documents of the corpus become `tokens.safetensors`, on one blocking thread, in bounded memory.

use std::{path::PathBuf, sync::Arc};

use latentd_cache::{Documents, RowSpec, TokenTable, TokenWriter, tokens_path};
use latentd_domain::Reason;
use latentd_engine::{ComputeError, Tokenizer};

use super::{Build, bos};
use crate::{grpc::error::Error, jobs::Halt, residency::Residents};

/// The rows of tokens: those of an earlier attempt if they are complete, else made now.
pub(super) async fn run(
    build: &Build,
    residents: &Arc<Residents>,
    dir: PathBuf,
) -> Result<Arc<TokenTable>, Halt> {
    let build = build.clone();
    let tokenizer = Arc::clone(&residents.model.tokenizer);
    let span = tracing::Span::current();
    let work = move || span.in_scope(|| table(&build, &tokenizer, &dir));
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(Error::internal(format!("tokenizing failed: {panic}")).into()))
}

fn table(
    build: &Build,
    tokenizer: &Tokenizer,
    dir: &std::path::Path,
) -> Result<Arc<TokenTable>, Halt> {
    if !tokens_path(dir).exists() {
        write(build, tokenizer, dir)?;
    }
    Ok(Arc::new(TokenTable::open(dir)?))
}

fn write(build: &Build, tokenizer: &Tokenizer, dir: &std::path::Path) -> Result<(), Halt> {
    let spec = &build.spec;
    build
        .tracker
        .begin("tokenizing", 0, spec.max_tokens.unwrap_or_default());
    let rows = RowSpec {
        context_length: spec.context_length,
        bos: bos(spec, tokenizer),
        max_tokens: spec.max_tokens,
    };
    let mut writer = TokenWriter::create(dir, rows)?;
    let corpus = build.app.corpora.resolve(&spec.corpus)?;
    let mut documents = Documents::open_until(&corpus, spec.seed, build.stopper.interrupt())
        .map_err(|error| unless_stopped(build, error))?;
    let skipped = documents.skipped();
    if !skipped.is_empty() {
        build.tracker.warn(format!(
            "{} of the corpus' folders are left out: {skipped}",
            skipped.count
        ));
    }
    let mut digest = latentd_cache::CorpusDigest::new();
    for document in &mut documents {
        build.stopper.check()?;
        let document = document.map_err(|error| unless_stopped(build, error))?;
        digest.add(&document.text);
        let ids = if document.is_blank() {
            Vec::new()
        } else {
            let ids = tokenizer.encode_ids_until(&document.text, false, build.stopper.interrupt());
            ids.map_err(|error| match error {
                ComputeError::Interrupted => build.stopper.halt(),
                ComputeError::TextTooLong { .. } => {
                    let message = format!("document {}: {error}", document.index);
                    Error::new(Reason::MalformedCorpus, message).into()
                }
                error => Error::from_reason(&error).into(),
            })?
        };
        let room = writer.push_document(&ids)?;
        build.tracker.set(writer.tokens());
        if !room {
            break;
        }
    }
    writer.finish(&digest.finish())?;
    Ok(())
}

/// Why the corpus cannot be read: the job itself, if it was stopped meanwhile.
fn unless_stopped(build: &Build, error: latentd_cache::Error) -> Halt {
    match error {
        latentd_cache::Error::Interrupted { .. } => build.stopper.halt(),
        error => error.into(),
    }
}
