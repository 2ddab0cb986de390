//! UploadCorpus: documents of this side, stored on the server.

use std::{pin::Pin, time::SystemTime};

use futures::{Stream, StreamExt as _, stream};
use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Result, client::stub, time::system_time};

/// Bytes of text at which a message is full.
const MESSAGE_BYTES: usize = 1 << 20;
/// Documents at which a message is full.
const MESSAGE_DOCUMENTS: usize = 4096;

/// A corpus that is stored on the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UploadedCorpus {
    /// Resource name: `corpora/{corpus}`, for [`crate::Corpus::uploaded`]. The same documents have the same name.
    pub name: String,
    /// Documents, blank ones included.
    pub documents: u64,
    /// Bytes on the server's disk.
    pub size_bytes: u64,
    /// When it may be deleted, unless it is used before.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub expires: Option<SystemTime>,
}

impl Client {
    /// Stores documents on the server, in their order, for [`Client::build_cache`] to read. Dropping the future leaves nothing
    /// behind. Nothing is repeated: a stream cannot be read twice.
    pub async fn upload_corpus<S>(&self, documents: S) -> Result<UploadedCorpus>
    where
        S: Stream<Item = String> + Send + 'static,
    {
        let stored = stub!(self, cache_service_client::CacheServiceClient)
            .upload_corpus(messages(Box::pin(documents)))
            .await?
            .into_inner();
        Ok(UploadedCorpus {
            name: stored.name,
            documents: stored.documents,
            size_bytes: stored.size_bytes,
            expires: system_time(stored.expire_time),
        })
    }
}

type Documents = Pin<Box<dyn Stream<Item = String> + Send>>;

fn messages(documents: Documents) -> impl Stream<Item = proto::UploadCorpusRequest> {
    stream::unfold(documents.fuse(), |mut documents| async move {
        let mut message = proto::UploadCorpusRequest::default();
        let mut bytes = 0;
        while bytes < MESSAGE_BYTES && message.documents.len() < MESSAGE_DOCUMENTS {
            let Some(document) = documents.next().await else {
                break;
            };
            bytes += document.len();
            message.documents.push(document);
        }
        (!message.documents.is_empty()).then_some((message, documents))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn documents_are_gathered_into_messages() {
        let long = "x".repeat(MESSAGE_BYTES / 2);
        let documents = vec![long.clone(), long, "a".to_owned(), String::new()];
        let sent: Vec<_> = messages(Box::pin(stream::iter(documents))).collect().await;
        let counts: Vec<usize> = sent.iter().map(|message| message.documents.len()).collect();
        assert_eq!(counts, [2, 2]);
        let none: Vec<_> = messages(Box::pin(stream::empty())).collect().await;
        assert!(none.is_empty());
    }
}
