//! Corpora that this machine has, not the server: read here, and uploaded while they are read.

use futures::stream;
use latentd_cache::{Documents, Skipped};
use latentd_client::{Client, UploadedCorpus};
use tokio::sync::{mpsc, oneshot};

use super::super::output::Output;

/// Documents that wait to be sent.
const WAITING: usize = 64;

/// Uploads what `open` finds. Nothing is stored if a document cannot be read.
pub(super) async fn upload(
    open: impl FnOnce() -> Result<Documents, latentd_cache::Error> + Send + 'static,
    client: &Client,
    out: &Output,
) -> anyhow::Result<UploadedCorpus> {
    let (texts, received) = mpsc::channel(WAITING);
    // The stream ends, and so the corpus is complete, when both senders are gone: this one stays until all was read.
    let until_read = texts.clone();
    let (ended, mut reading) = oneshot::channel();
    // A thread of its own, which nobody waits for: standard input may never say anything again.
    std::thread::Builder::new()
        .name("corpus".to_owned())
        .spawn(move || {
            let _ = ended.send(read(open, &texts));
        })?;
    let documents = stream::unfold(received, |mut received| async move {
        received.recv().await.map(|text| (text, received))
    });
    let mut uploading = Box::pin(client.upload_corpus(documents));
    let skipped = tokio::select! {
        early = &mut uploading => return Ok(early?),
        read = &mut reading => read??,
    };
    if !skipped.is_empty() {
        let count = skipped.count;
        out.remark(format!(
            "warning: {count} of the folders are left out: {skipped}"
        ));
    }
    drop(until_read);
    Ok(uploading.await?)
}

fn read(
    open: impl FnOnce() -> Result<Documents, latentd_cache::Error>,
    texts: &mpsc::Sender<String>,
) -> anyhow::Result<Skipped> {
    let documents = open()?;
    let skipped = documents.skipped().clone();
    for document in documents {
        if texts.blocking_send(document?.text).is_err() {
            break;
        }
    }
    Ok(skipped)
}
