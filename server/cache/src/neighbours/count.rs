//! Counts, for a block of latents, on how many of their tokens every latent of the SAE fires.
//!
//! A shard lists its entries by latent. For each shard the latents of the block that fire on a token are listed by token; then
//! the entries of every latent are gone through, and what is listed at their token is counted. The counters of one latent of
//! the SAE lie together, `[d_sae, block]`, so one thread counts for it without asking others and mostly within its fastest
//! cache. All entries are read once a block; besides them, the cost is the number of times that two latents meet.

use rayon::prelude::*;

use crate::{
    Error, TokenTable,
    cache::Parts,
    shard::{Firing, Shard},
};

/// Latents that a thread counts for at a time, at least.
const LATENTS_A_TASK: usize = 16;

/// `[d_sae, latents.len()]`: tokens on which both fire.
pub(super) fn together(
    tokens: &TokenTable,
    parts: &Parts<'_>,
    latents: &[u32],
) -> Result<Vec<u32>, Error> {
    let mut counters = vec![0_u32; parts.d_sae as usize * latents.len()];
    if latents.is_empty() {
        return Ok(counters);
    }
    for shard in parts.shards {
        let listed = Listed::new(tokens, shard, latents)?;
        counters
            .par_chunks_exact_mut(latents.len())
            .with_min_len(LATENTS_A_TASK)
            .enumerate()
            .try_for_each(|(other, counters)| {
                for firing in shard.postings(other as u32).iter() {
                    for &member in listed.at(listed.place(firing)?) {
                        if let Some(counter) = counters.get_mut(member as usize) {
                            *counter += 1;
                        }
                    }
                }
                Ok::<(), Error>(())
            })?;
    }
    Ok(counters)
}

/// The latents of a block, by the tokens of one shard on which they fire.
struct Listed<'a> {
    shard: &'a Shard,
    /// Tokens before each row of the shard, and before the row after it.
    rows: &'a [u64],
    /// Where the list of each token begins, and the end of the last one.
    starts: Vec<u32>,
    /// Positions in the block.
    members: Vec<u32>,
}

impl<'a> Listed<'a> {
    fn new(tokens: &'a TokenTable, shard: &'a Shard, latents: &[u32]) -> Result<Self, Error> {
        let rows = shard.rows();
        let rows = tokens
            .offsets()
            .get(rows.start as usize..=rows.end as usize);
        let rows = rows.ok_or_else(|| shard.corrupt("it covers rows that there are not"))?;
        let held = match rows {
            [first, .., last] => (last - first) as usize,
            _ => 0,
        };
        let mut listed = Self {
            shard,
            rows,
            starts: vec![0; held + 2],
            members: Vec::new(),
        };
        // The count of each token, two places on: summed up, one place on is where the token's list begins; filling the lists
        // moves that to where it ends, which is where the next one begins.
        for &latent in latents {
            for firing in shard.postings(latent).iter() {
                let place = listed.place(firing)?;
                if let Some(count) = listed.starts.get_mut(place + 2) {
                    *count += 1;
                }
            }
        }
        let mut total = 0;
        for start in &mut listed.starts {
            total += *start;
            *start = total;
        }
        listed.members = vec![0; total as usize];
        for (member, &latent) in latents.iter().enumerate() {
            for firing in shard.postings(latent).iter() {
                let place = listed.place(firing)?;
                let Some(next) = listed.starts.get_mut(place + 1) else {
                    continue;
                };
                if let Some(held) = listed.members.get_mut(*next as usize) {
                    *held = member as u32;
                }
                *next += 1;
            }
        }
        Ok(listed)
    }

    /// The token among those of the shard.
    fn place(&self, firing: Firing) -> Result<usize, Error> {
        let first_row = self.shard.rows().start;
        let row = u64::from(firing.row).checked_sub(first_row);
        let bounds = row.and_then(|row| self.rows.get(row as usize..)?.get(..2));
        let place = match bounds {
            Some(&[start, end]) if u64::from(firing.position) < end - start => {
                let before = self.rows.first().copied().unwrap_or_default();
                Some((start - before) as usize + firing.position as usize)
            }
            _ => None,
        };
        place.ok_or_else(|| {
            let detail = format!("a latent fires outside of row {}", firing.row);
            self.shard.corrupt(detail)
        })
    }

    /// What is listed at a token.
    fn at(&self, place: usize) -> &[u32] {
        match self.starts.get(place..place + 2) {
            Some(&[start, end]) => self
                .members
                .get(start as usize..end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }
}
