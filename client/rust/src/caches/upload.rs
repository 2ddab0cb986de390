//! Corpora of this side, stored on the server: UploadCorpus, ListCorpora, DeleteCorpus.

use std::{pin::Pin, time::SystemTime};

use futures::{Stream, StreamExt as _, stream};
use latentd_proto::v1 as proto;
use serde::Serialize;

use crate::{Client, Pages, Result, client::stub, retry::Repeat, time::system_time};

/// Bytes of text at which a message is full.
const MESSAGE_BYTES: usize = 1 << 20;
/// Documents at which a message is full.
const MESSAGE_DOCUMENTS: usize = 4096;

/// A corpus that is stored on the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UploadedCorpus {
    /// Resource name: `corpora/{corpus}`, for [`crate::Corpus::uploaded`]. The same documents have the same name.
    pub name: String,
    /// Documents, blank ones included; `None` in lists, for which nothing is counted.
    pub documents: Option<u64>,
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
        Ok(stored.into())
    }

    /// Uploaded corpora that the server has, by name.
    pub fn corpora(&self) -> Pages<UploadedCorpus> {
        let client = self.clone();
        Pages::new(move |page_token| {
            let client = client.clone();
            async move {
                let request = proto::ListCorporaRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client
                    .call(Repeat::Always, request, |request| async {
                        stub!(client, cache_service_client::CacheServiceClient)
                            .list_corpora(request)
                            .await
                    })
                    .await?;
                let corpora = page.corpora.into_iter().map(UploadedCorpus::from);
                Ok((corpora.collect(), page.next_page_token))
            }
        })
    }

    /// Deletes an uploaded corpus before its time, and returns the bytes given back. Fails with `RESOURCE_IN_USE` while a job
    /// still has to read it.
    pub async fn delete_corpus(&self, name: &str) -> Result<u64> {
        let request = proto::DeleteCorpusRequest {
            name: name.to_owned(),
        };
        let reply = self.call(Repeat::IfRefused, request, |request| async {
            stub!(self, cache_service_client::CacheServiceClient)
                .delete_corpus(request)
                .await
        });
        Ok(reply.await?.freed_bytes)
    }
}

impl From<proto::UploadedCorpus> for UploadedCorpus {
    fn from(corpus: proto::UploadedCorpus) -> Self {
        Self {
            name: corpus.name,
            documents: corpus.documents,
            size_bytes: corpus.size_bytes,
            expires: system_time(corpus.expire_time),
        }
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
