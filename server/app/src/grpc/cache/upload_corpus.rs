//! UploadCorpus: documents come as a stream and are written as they come; nothing is kept of a stream that breaks off.

use std::time::{Duration, SystemTime};

use latentd_cache::CorpusWriter;
use latentd_domain::Reason;
use latentd_proto::v1 as pb;
use tonic::{Status, Streaming};

use crate::{
    app::Shared,
    grpc::{blocking, error::Error, shutting_down},
};

/// Longest wait for the next message. An upload that stands still holds disk space.
const IDLE: Duration = Duration::from_mins(10);
/// Bytes that an upload grows by before the size of the folder is looked at again.
const STEP: u64 = 64 << 20;

pub(super) async fn handle(
    app: Shared,
    mut requests: Streaming<pb::UploadCorpusRequest>,
) -> Result<pb::UploadedCorpus, Status> {
    app.corpora.make_room(&app.store).await?;
    let mut writer = app.corpora.begin().await?;
    let mut looked = 0;
    while let Some(message) = next(&app, &mut requests).await? {
        writer = push(writer, message.documents).await?;
        if writer.bytes() - looked > STEP {
            looked = writer.bytes();
            app.corpora.make_room(&app.store).await?;
        }
    }
    app.corpora.make_room(&app.store).await?;
    let stored = blocking(move || Ok(writer.finish()?)).await?;
    tracing::info!(corpus = %stored.id, stored.documents, stored.bytes, "a corpus was uploaded");
    Ok(pb::UploadedCorpus {
        name: stored.id.to_string(),
        documents: Some(stored.documents),
        size_bytes: stored.bytes,
        expire_time: Some((SystemTime::now() + app.corpora.keep).into()),
    })
}

async fn next(
    app: &Shared,
    requests: &mut Streaming<pb::UploadCorpusRequest>,
) -> Result<Option<pb::UploadCorpusRequest>, Status> {
    tokio::select! {
        () = app.life.draining() => Err(shutting_down()),
        message = tokio::time::timeout(IDLE, requests.message()) => message.unwrap_or_else(|_| {
            let message = format!("no documents came for {} minutes", IDLE.as_secs() / 60);
            Err(Error::new(Reason::DeadlineExceeded, message).into())
        }),
    }
}

async fn push(mut writer: CorpusWriter, documents: Vec<String>) -> Result<CorpusWriter, Error> {
    let written = blocking(move || {
        for document in &documents {
            writer.push(document)?;
        }
        Ok(writer)
    });
    written.await
}
