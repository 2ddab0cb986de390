//! Generation and the scoring of given tokens: sequences that go on, step by step, many at once.
//!
//! A step adds to every sequence that runs what it needs next: one token to a generation, a piece of the prompt to what has
//! just begun. So all of them share one reading of the weights, and a generation of any length holds the device no longer than
//! a step: batches of other works have their turn in between ([`turns`]).
//!
//! On the CPU what a sequence gets does not depend on what it shares steps with. That is why bulk works share them too.

mod pool;
mod running;
mod step;
mod task;
mod turns;

use std::{sync::Arc, time::Instant};

use latentd_domain::ModelId;
use latentd_nn::{ComputeError, form::Form};
use tokio::sync::oneshot;

use self::task::{Done, Goal, Held, Task};
pub(crate) use self::{running::Running, turns::Turns};
use crate::{
    Cost, Error, Lane,
    catalog::{Catalog, ModelEntry},
    compute::ResidentModel,
    engine::Shared,
    resolve,
    work::{Reply, Request, Work},
};

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the likeliest token each time.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability are drawn from; 1 (or 0, left out) for all.
    pub top_p: f32,
    /// Seed of the draws: the same one draws the same tokens.
    pub seed: u64,
}

/// A request to go on from a prompt.
#[derive(Clone, Debug)]
pub struct GenerateWork {
    /// The language model.
    pub model: ModelId,
    /// The prompt, at least one token.
    pub prompt: Vec<u32>,
    /// Longest answer, in tokens; the model's context may end it before.
    pub max_new_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Tokens that end the answer.
    pub stop: Vec<u32>,
    /// What the answer is held to.
    pub form: Option<Form>,
    /// How many of the likeliest tokens to report at each place.
    pub top_logprobs: usize,
    /// Who goes first.
    pub lane: Lane,
    /// When the answer is of no more use.
    pub deadline: Option<Instant>,
}

/// What a model thought of a token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenScore {
    /// Natural log-probability of the token given all before it, whatever the temperature.
    pub logprob: f32,
    /// The likeliest tokens at this place with theirs, falling.
    pub top: Vec<(u32, f32)>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A token that ends answers.
    Stop,
    /// It has all the tokens that it may have.
    Length,
}

/// The answer to a [`GenerateWork`].
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOutput {
    /// The new tokens, without the one that ended the answer.
    pub ids: Vec<u32>,
    /// One for each of them.
    pub scores: Vec<TokenScore>,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub cost: Cost,
}

/// A sequence of which tokens are scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreSequence {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The first one to score; at least 1, for the first token has none before it.
    pub from: usize,
}

/// A request for log-probabilities of given tokens.
#[derive(Clone, Debug)]
pub struct ScoreTokensWork {
    /// The language model.
    pub model: ModelId,
    /// The sequences.
    pub sequences: Vec<ScoreSequence>,
    /// How many of the likeliest tokens to report at each place.
    pub top: usize,
    /// Who goes first.
    pub lane: Lane,
    /// When the answer is of no more use.
    pub deadline: Option<Instant>,
}

/// The answer to a [`ScoreTokensWork`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreTokensOutput {
    /// For each sequence the scores of `ids[from..]`, each given all tokens before it.
    pub scores: Vec<Vec<TokenScore>>,
    /// What it cost.
    pub cost: Cost,
}

/// Sequences of one caller that go on.
pub(crate) struct Continue {
    pub(crate) model: Arc<ModelEntry>,
    pub(crate) resident: Arc<dyn ResidentModel>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) reply: Reply<(Vec<Done>, Cost)>,
}

impl Continue {
    /// Tokens that are there already.
    pub(crate) fn tokens(&self) -> usize {
        self.tasks.iter().map(|task| task.ids.len()).sum()
    }

    /// Bytes that its longest sequence keeps; the others may wait for it.
    pub(crate) fn bytes(&self) -> u64 {
        let of_task = |task: &Task| past_bytes(&self.model, task.capacity());
        self.tasks.iter().map(of_task).max().unwrap_or_default()
    }
}

/// Bytes of keys and values of `tokens` tokens.
pub(crate) fn past_bytes(model: &ModelEntry, tokens: usize) -> u64 {
    let info = &model.info;
    let values = 2 * info.n_layers * info.n_kv_heads * info.d_head;
    (tokens * values * size_of::<f32>()) as u64
}

/// Goes on from a prompt.
pub(crate) async fn generate(shared: &Shared, work: GenerateWork) -> Result<GenerateOutput, Error> {
    let entry = model(&shared.residency.snapshot(), &work.model)?;
    check(&entry, 0, &work.prompt, 1)?;
    // The last token that is made is not followed by another, and so takes no room.
    let room = entry.info.context_length + 1 - work.prompt.len();
    let task = Task {
        ids: work.prompt,
        goal: Goal::Generate {
            max_new: work.max_new_tokens.min(room),
            sampling: work.sampling,
            stop: work.stop,
            held: work.form.map(|form| Held::new(&form, &entry.tokenizer)),
        },
        top: work.top_logprobs,
    };
    if work.max_new_tokens == 0 {
        return Ok(GenerateOutput {
            ids: Vec::new(),
            scores: Vec::new(),
            finish: Finish::Length,
            cost: Cost::default(),
        });
    }
    let when = (work.lane, work.deadline);
    let (mut done, cost) = submit(shared, entry, vec![task], when).await?;
    let Some(Done {
        ids,
        scores,
        finish,
    }) = done.pop()
    else {
        return Err(lost());
    };
    Ok(GenerateOutput {
        ids,
        scores,
        finish,
        cost,
    })
}

/// Scores given tokens.
pub(crate) async fn score_tokens(
    shared: &Shared,
    work: ScoreTokensWork,
) -> Result<ScoreTokensOutput, Error> {
    let entry = model(&shared.residency.snapshot(), &work.model)?;
    if work.sequences.is_empty() {
        return Err(Error::EmptyBatch);
    }
    let mut tasks = Vec::with_capacity(work.sequences.len());
    for (index, ScoreSequence { ids, from }) in work.sequences.into_iter().enumerate() {
        // The last token is scored and nothing is asked behind it.
        check(&entry, index, &ids, 0)?;
        if from == 0 || from > ids.len() {
            return Err(Error::NothingToScore {
                sequence: index,
                tokens: ids.len(),
                from,
            });
        }
        tasks.push(Task {
            ids,
            goal: Goal::Score { from },
            top: work.top,
        });
    }
    let (done, cost) = submit(shared, entry, tasks, (work.lane, work.deadline)).await?;
    Ok(ScoreTokensOutput {
        scores: done.into_iter().map(|done| done.scores).collect(),
        cost,
    })
}

fn lost() -> Error {
    let detail = "a sequence was lost".to_owned();
    ComputeError::Failed { detail }.into()
}

fn model(catalog: &Catalog, id: &ModelId) -> Result<Arc<ModelEntry>, Error> {
    resolve::language_model(catalog, id).map(Arc::clone)
}

/// Whether the model can go on from `ids`: `behind` tokens must still fit.
fn check(model: &ModelEntry, sequence: usize, ids: &[u32], behind: usize) -> Result<(), Error> {
    let (limit, vocab) = (model.info.context_length, model.info.vocab);
    if ids.is_empty() {
        return Err(Error::EmptyBatch);
    }
    if ids.len() > limit + 1 - behind {
        return Err(Error::PromptTooLong {
            sequence,
            tokens: ids.len(),
            limit,
        });
    }
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(&id) => Err(ComputeError::UnknownToken { id, vocab }.into()),
        None => Ok(()),
    }
}

async fn submit(
    shared: &Shared,
    model: Arc<ModelEntry>,
    tasks: Vec<Task>,
    (lane, deadline): (Lane, Option<Instant>),
) -> Result<(Vec<Done>, Cost), Error> {
    let (reply, done) = oneshot::channel();
    let resident = Arc::clone(model.language()?);
    let request = Continue {
        model,
        resident,
        tasks,
        reply,
    };
    shared
        .queue
        .push(Work::new(Request::Continue(request)).on(lane, deadline))?;
    done.await.unwrap_or_else(|_| Err(shared.gone()))
}
