//! Embeddings: texts become tokens off the device, and tokens become vectors on it.
//!
//! A work shares its pass with no other: a pass of a sentence encoder is short, and a job sends many texts at once.

use std::{sync::Arc, time::Instant};

use latentd_domain::{HasReason, ModelId, Reason};
use latentd_nn::PackedTokens;
use tokio::sync::oneshot;

use crate::{
    Cost, Dense, Error, Lane,
    compute::ResidentEncoder,
    contain::contain,
    engine::Shared,
    health::Reporter,
    resolve,
    work::{Reply, Request, Work},
};

/// A request for embeddings.
#[derive(Clone, Debug)]
pub struct EmbedWork {
    /// The sentence encoder.
    pub model: ModelId,
    /// The texts; those longer than the encoder's context are cut.
    pub texts: Vec<String>,
    /// Who goes first.
    pub lane: Lane,
    /// When the answer is of no more use. Work that has begun is finished.
    pub deadline: Option<Instant>,
}

/// The answer to an [`EmbedWork`].
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedOutput {
    /// A row for each text, in their order.
    pub embeddings: Dense,
    /// What it cost; of several batches together, and `batch_tokens` of the largest.
    pub cost: Cost,
}

/// As many texts as one batch holds, as tokens.
pub(crate) struct Embed {
    encoder: Arc<dyn ResidentEncoder>,
    sequences: Vec<Vec<u32>>,
    pub(crate) reply: Reply<(Vec<f32>, Cost)>,
}

/// Embeds the texts of `work`, in as many batches as they need.
pub(crate) async fn embed(shared: &Shared, work: EmbedWork) -> Result<EmbedOutput, Error> {
    let EmbedWork {
        model,
        texts,
        lane,
        deadline,
    } = work;
    let entry = Arc::clone(resolve::model(&shared.residency.snapshot(), &model)?);
    let encoder = entry.encoder()?;
    let (rows, width) = (texts.len(), entry.info.d_model);
    let sequences = tokenize(Arc::clone(encoder), texts).await?;
    let mut values = Vec::with_capacity(rows * width);
    let mut cost = Cost::default();
    for sequences in batches(sequences, shared.info.batch_tokens) {
        let (reply, embedded) = oneshot::channel();
        let embed = Embed {
            encoder: Arc::clone(encoder),
            sequences,
            reply,
        };
        shared
            .queue
            .push(Work::new(Request::Embed(embed)).on(lane, deadline))?;
        let (more, its) = embedded.await.unwrap_or_else(|_| Err(shared.gone()))?;
        values.extend(more);
        cost = Cost {
            queue: cost.queue + its.queue,
            compute: cost.compute + its.compute,
            tokens: cost.tokens + its.tokens,
            batch_tokens: cost.batch_tokens.max(its.batch_tokens),
            batch_requests: 1,
        };
    }
    Ok(EmbedOutput {
        embeddings: Dense {
            rows,
            width,
            values,
        },
        cost,
    })
}

/// The tokens of each text, made on a thread that may block.
async fn tokenize(
    encoder: Arc<dyn ResidentEncoder>,
    texts: Vec<String>,
) -> Result<Vec<Vec<u32>>, Error> {
    let all = move || {
        let one = |text: &String| Ok(encoder.tokenize(text)?);
        contain(|| texts.iter().map(one).collect())
    };
    let done = tokio::task::spawn_blocking(all).await;
    done.unwrap_or(Err(Error::ShuttingDown))
}

/// `sequences` in their order, cut into batches of at most `tokens`, unless one alone has more.
fn batches(sequences: Vec<Vec<u32>>, tokens: usize) -> Vec<Vec<Vec<u32>>> {
    let mut batches: Vec<Vec<Vec<u32>>> = Vec::new();
    let mut room = 0;
    for sequence in sequences {
        let length = sequence.len();
        match batches.last_mut() {
            Some(batch) if length <= room => {
                room -= length;
                batch.push(sequence);
            }
            _ => {
                room = tokens.saturating_sub(length);
                batches.push(vec![sequence]);
            }
        }
    }
    batches
}

impl Embed {
    /// Tokens of all texts.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences.iter().map(Vec::len).sum()
    }

    /// Computes it and answers. A caller that has left meanwhile is no one's concern.
    pub(crate) fn answer(self, queued_at: Instant, health: &Reporter) {
        let started = Instant::now();
        let mut values = Vec::new();
        let computed = self.solve(&self.sequences, &mut values, health);
        let tokens = self.tokens();
        let cost = Cost {
            queue: started.saturating_duration_since(queued_at),
            compute: started.elapsed(),
            tokens,
            batch_tokens: tokens,
            batch_requests: 1,
        };
        drop(self.reply.send(computed.map(|()| (values, cost))));
    }

    /// Computes `sequences` in one pass, or in halves where the device has too little memory for them together.
    fn solve(
        &self,
        sequences: &[Vec<u32>],
        values: &mut Vec<f32>,
        health: &Reporter,
    ) -> Result<(), Error> {
        let pass = || {
            let tokens = PackedTokens::new(sequences.iter().map(Vec::as_slice));
            Ok(self.encoder.embed(&tokens)?)
        };
        match health.observe(contain(pass)) {
            Ok(rows) => values.extend(rows),
            Err(error) if error.reason() == Reason::OutOfDeviceMemory => {
                if let [sequence] = sequences {
                    let tokens = sequence.len();
                    return Err(Error::OutOfDeviceMemory { tokens });
                }
                let (front, back) = sequences.split_at(sequences.len() / 2);
                self.solve(front, values, health)?;
                self.solve(back, values, health)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
