//! Cuts the rows of a cache into shards, and the rows of a shard into batches for the encoder. Pure: the same rows give
//! the same plan, so a build that was interrupted goes on with the plan that it had.

use std::{cmp::Reverse, ops::Range};

use crate::TokenTable;

/// Tokens of a shard, about: the piece of a build that is committed at once, and what bounds its memory.
pub const SHARD_TOKENS: u64 = 65_536;

/// Tokens of the smallest shards: about a second of work on a CPU.
const SMALLEST: u64 = 4096;

/// Tokens of the shards of a cache of so many tokens: a small cache is cut into several shards too, so that a build that is killed
/// again and again gets further each time.
pub fn shard_tokens(tokens: u64) -> u64 {
    (tokens / 16)
        .next_multiple_of(SMALLEST)
        .clamp(SMALLEST, SHARD_TOKENS)
}

/// Cuts the rows into runs of at most `shard_tokens` tokens, or of one row that is longer.
pub fn shards(table: &TokenTable, shard_tokens: u64) -> Vec<Range<u64>> {
    cut(table.offsets(), shard_tokens)
}

fn cut(offsets: &[u64], shard_tokens: u64) -> Vec<Range<u64>> {
    let rows = offsets.len().saturating_sub(1);
    let mut out = Vec::new();
    let mut start = 0;
    while start < rows {
        let begin = offsets.get(start).copied().unwrap_or_default();
        let limit = begin.saturating_add(shard_tokens);
        let end = offsets
            .partition_point(|&offset| offset <= limit)
            .saturating_sub(1)
            .max(start + 1);
        out.push(start as u64..end as u64);
        start = end;
    }
    out
}

/// Gathers the rows of a shard into batches of at most `batch_tokens` tokens, or of one row that is longer. Rows of like
/// length come together, longest first, which keeps the attention of a batch even.
pub fn batches(table: &TokenTable, shard: Range<u64>, batch_tokens: u64) -> Vec<Vec<u64>> {
    let mut rows: Vec<u64> = shard.collect();
    rows.sort_unstable_by_key(|&row| (Reverse(table.row_len(row)), row));
    let mut out: Vec<Vec<u64>> = Vec::new();
    let mut left = 0;
    for row in rows {
        let length = u64::from(table.row_len(row));
        match out.last_mut() {
            Some(batch) if length <= left => batch.push(row),
            _ => {
                out.push(vec![row]);
                left = batch_tokens;
            }
        }
        left = left.saturating_sub(length);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{RowSpec, TokenWriter};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_row_is_encoded_once(
            lengths in prop::collection::vec(0..40_usize, 1..60),
            shard_tokens in 1..200_u64,
            batch_tokens in 1..100_u64,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let spec = RowSpec { context_length: 16, bos: Some(0), max_tokens: None };
            let mut writer = TokenWriter::create(dir.path(), spec).unwrap();
            writer.push_document(&[1]).unwrap();
            for length in lengths {
                writer.push_document(&vec![1; length]).unwrap();
            }
            writer.finish("").unwrap();
            let table = TokenTable::open(dir.path()).unwrap();
            let tokens = |rows: &[u64]| rows.iter().map(|&row| u64::from(table.row_len(row))).sum::<u64>();

            let mut next = 0;
            for shard in shards(&table, shard_tokens) {
                prop_assert_eq!(shard.start, next);
                next = shard.end;
                let rows: Vec<u64> = shard.clone().collect();
                prop_assert!(tokens(&rows) <= shard_tokens || rows.len() == 1);
                let batches = batches(&table, shard, batch_tokens);
                for batch in &batches {
                    prop_assert!(tokens(batch) <= batch_tokens || batch.len() == 1);
                }
                let mut encoded = batches.concat();
                encoded.sort_unstable();
                prop_assert_eq!(encoded, rows);
            }
            prop_assert_eq!(next, table.rows());
        }
    }
}
