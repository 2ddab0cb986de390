//! The rows of tokens of a cache: documents cut to the context length, kept once and read by mmap.
//!
//! `tokens.safetensors` holds `row_offsets` u64 `[rows + 1]`, `row_document` u64 `[rows]` (the document's place in the
//! order of the cache), `row_start` u32 `[rows]` (tokens of the document before the row, a beginning-of-sequence token
//! that the row was given not counted) and `ids` u32 `[tokens]`.

mod table;
mod writer;

pub use table::TokenTable;
pub use writer::{RowSpec, TokenWriter};

const ROW_OFFSETS: &str = "row_offsets";
const ROW_DOCUMENT: &str = "row_document";
const ROW_START: &str = "row_start";
const IDS: &str = "ids";
const CORPUS_DIGEST: &str = "corpus_digest";
const DOCUMENTS: &str = "documents";
