//! Corpora that callers uploaded: their folder, how long they are kept, and how much of the disk they may take.

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use latentd_cache::{
    CorpusWriter, FoundCorpus, Keep, STORED_FIELD, corpora_bytes, corpus_path, list_corpora,
    remove_corpus, touch_corpus,
};
use latentd_domain::{Corpus, CorpusFormat, CorpusId, Reason};
use latentd_store::Store;

use crate::{
    app::App,
    config::Config,
    grpc::{blocking, error::Error},
};

/// Time between two cleanings.
const INTERVAL: Duration = Duration::from_mins(30);

/// The folder of uploaded corpora.
#[derive(Debug)]
pub(crate) struct Corpora {
    dir: PathBuf,
    /// Bytes of one corpus.
    limit: u64,
    max_bytes: u64,
    /// Time that a corpus is kept after it was last used.
    pub(crate) keep: Duration,
}

impl Corpora {
    /// As the configuration says.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            dir: config.corpora_dir(),
            limit: config.limits.max_corpus_bytes,
            max_bytes: config.corpora.max_bytes,
            keep: config.corpora.keep(),
        }
    }

    /// Begins to write a corpus.
    pub(crate) async fn begin(&self) -> Result<CorpusWriter, Error> {
        let (dir, limit) = (self.dir.clone(), self.limit);
        blocking(move || Ok(CorpusWriter::create(&dir, limit)?)).await
    }

    /// Notes that a corpus is about to be read, and so that it is there.
    pub(crate) async fn touch(&self, id: &CorpusId) -> Result<(), Error> {
        let (dir, corpus) = (self.dir.clone(), id.clone());
        if blocking(move || Ok(touch_corpus(&dir, &corpus)?)).await? {
            Ok(())
        } else {
            Err(unknown(id))
        }
    }

    /// The corpus as files: those of an uploaded one are known here. Blocks.
    pub(crate) fn resolve(&self, corpus: &Corpus) -> Result<Corpus, Error> {
        let Some(id) = &corpus.uploaded else {
            return Ok(corpus.clone());
        };
        let path = corpus_path(&self.dir, id);
        if !path.exists() {
            return Err(unknown(id));
        }
        Ok(Corpus {
            paths: vec![path.to_string_lossy().into_owned()],
            format: CorpusFormat::Jsonl,
            text_field: STORED_FIELD.to_owned(),
            uploaded: None,
        })
    }

    /// Those that are complete, by name.
    pub(crate) async fn list(&self) -> Result<Vec<FoundCorpus>, Error> {
        let dir = self.dir.clone();
        blocking(move || Ok(list_corpora(&dir)?)).await
    }

    /// Deletes a corpus that no job has to read any more, and returns the bytes that it took.
    pub(crate) async fn delete(&self, id: &CorpusId, store: &Store) -> Result<u64, Error> {
        if store.caches().corpora_in_use().await?.contains(id) {
            let message = format!("{id} is still to be read by a job that builds a cache");
            return Err(Error::new(Reason::ResourceInUse, message).with("corpus", id));
        }
        let (dir, corpus) = (self.dir.clone(), id.clone());
        let freed = blocking(move || Ok(remove_corpus(&dir, &corpus)?)).await?;
        freed.ok_or_else(|| unknown(id))
    }

    /// Sees to it that the folder is not over its size: deletes what nobody needs, and fails if that is not enough.
    pub(crate) async fn make_room(&self, store: &Store) -> Result<(), Error> {
        let dir = self.dir.clone();
        let taken = blocking(move || Ok(corpora_bytes(&dir)?)).await?;
        if taken <= self.max_bytes || self.clean(store).await? <= self.max_bytes {
            return Ok(());
        }
        let message = format!(
            "uploaded corpora would take more than corpora.max_bytes, {} bytes",
            self.max_bytes
        );
        Err(Error::new(Reason::DiskFull, message))
    }

    /// Deletes what is not needed, and returns the bytes that are left.
    async fn clean(&self, store: &Store) -> Result<u64, Error> {
        let in_use = store.caches().corpora_in_use().await?;
        let keep = Keep {
            unused: self.keep,
            max_bytes: self.max_bytes,
            in_use: in_use.into_iter().collect::<HashSet<_>>(),
        };
        let dir = self.dir.clone();
        let clean = move || {
            let left = latentd_cache::clean_corpora(&dir, &keep, SystemTime::now());
            Ok(left?)
        };
        blocking(clean).await
    }
}

fn unknown(id: &CorpusId) -> Error {
    let message = format!("there is no uploaded corpus {id}, or no longer");
    Error::new(Reason::UnknownCorpus, message).with("corpus", id)
}

/// Cleans up from time to time, until the server drains.
pub(crate) async fn run(app: &App) {
    loop {
        if let Err(error) = app.corpora.clean(&app.store).await {
            tracing::warn!(%error, "uploaded corpora were not cleaned up");
        }
        tokio::select! {
            () = app.life.draining() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
