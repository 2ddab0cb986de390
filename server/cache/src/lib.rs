//! Activation caches: text in, token rows and shards of sparse activations on disk, examples out.
//!
//! A build goes corpus → rows of tokens → plan → shards → statistics and manifest, each step a module; what encodes the
//! tokens is the caller, who hands over [`latentd_domain::SparseActivations`]. Nothing here is asynchronous, knows a
//! model, or holds more in memory than one shard, whatever the length of the corpus.
//!
//! ```text
//! <cache>/tokens.safetensors                              rows of tokens            (tokens)
//! <cache>/saes/<model>.<sae>/shard-00000.safetensors      activations, latent-major (shard)
//! <cache>/saes/<model>.<sae>/stats.safetensors            statistics of latents     (stats)
//! <cache>/saes/<model>.<sae>/neighbours-00000.safetensors latents firing together  (neighbours), on demand
//! <cache>/manifest.json                                   written last              (manifest)
//! ```
//!
//! Every file appears whole or not at all (written beside, synced, renamed), and equal inputs give equal bytes.

#[cfg(target_endian = "big")]
compile_error!("cache files are little-endian and read in place; this target is big-endian");

mod cache;
mod corpus;
mod error;
mod examples;
mod files;
mod given;
mod guard;
mod layout;
mod manifest;
mod mapped;
mod neighbours;
mod plan;
mod scalar;
mod shard;
mod stats;
mod tensor_file;
#[cfg(test)]
mod tests;
mod tokens;

pub use cache::Cache;
pub use corpus::{
    CorpusDigest, CorpusWriter, Document, Documents, FoundCorpus, Keep, MAX_DOCUMENT_BYTES,
    STORED_FIELD, Skipped, StoredCorpus, clean_corpora, corpora_bytes, corpus_path, list_corpora,
    remove_corpus, touch_corpus,
};
pub use error::Error;
pub use examples::{MAX_CANDIDATES, MAX_ENTRIES_READ};
pub use layout::{manifest_path, sae_dir, saes_dir, shard_path, stats_path, tokens_path};
pub use manifest::{
    BuildRecord, BuiltSae, Manifest, ModelRecord, SaeRecord, Settings, ShardRecord, TokensRecord,
    finish,
};
pub use neighbours::{MAX_NEIGHBOURS, NeighbourExample, NeighbourQuery};
pub use plan::{SHARD_TOKENS, batches, shard_tokens, shards};
pub use shard::{ShardBuilder, ShardSpec, ShardSummary};
pub use tokens::{RowSpec, TokenTable, TokenWriter};
