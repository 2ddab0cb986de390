//! The engine's promises, on a device that blocks, panics and runs out of memory on command, and on real tiny models.

mod batching;
mod embedding;
mod fairness;
mod fake;
mod generating;
mod lifetime;
mod real;
mod refusals;
mod residency;
mod spans;
mod trouble;

use std::{path::PathBuf, sync::Arc};

use latentd_domain::{ModelId, SaeName, Scale, Selection, SparseActivations};
use latentd_nn::sae::SaeOptions;
use tokio::task::{JoinSet, yield_now};

use self::fake::{Fake, Script};
use crate::{EncodeOutput, EncodeWork, Engine, Error, Handle, Lane, Options, Sequence};

/// An engine on the fake device, with a model `m` and three SAEs: `m/s3` and `m/t3` at block 3, `m/s9` at block 9.
struct Bench {
    engine: Engine,
    handle: Handle,
    script: Arc<Script>,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Options {
            batch_tokens: 100,
            max_queued: 100,
            ..Options::default()
        })
        .await
    }

    async fn with(options: Options) -> Self {
        let script = Arc::new(Script::default());
        let (engine, handle) = Engine::start_on(Box::new(Fake::new(&script)), options).unwrap();
        handle
            .load_model(model(), "models/m".into(), None)
            .await
            .unwrap();
        for id in ["s3", "t3", "s9"] {
            handle
                .load_sae(
                    sae(id),
                    PathBuf::from("saes").join(id),
                    SaeOptions::default(),
                )
                .await
                .unwrap();
        }
        Self {
            engine,
            handle,
            script,
        }
    }

    /// Submits `works`, in order, and returns once each waits in the queue.
    async fn submit(&self, answers: &mut Answers, works: impl IntoIterator<Item = EncodeWork>) {
        for work in works {
            let queued = self.handle.queued();
            let (handle, index) = (self.handle.clone(), answers.len());
            answers.spawn(async move { (index, handle.encode(work).await) });
            until(|| self.handle.queued() > queued).await;
        }
    }

    /// Keeps the device busy with a work, so that whatever comes next has to wait until the gate is opened.
    async fn occupy(&self, answers: &mut Answers) {
        self.script.close_gate();
        let (handle, index) = (self.handle.clone(), answers.len());
        answers.spawn(async move { (index, handle.encode(encode("s3", &[&[1, 2]])).await) });
        until(|| self.script.arrived() > 0).await;
    }
}

/// Answers that are waited for, each with the number of its submission.
type Answers = JoinSet<(usize, Result<EncodeOutput, Error>)>;

/// Every answer, in the order of submission.
async fn collect(answers: Answers) -> Vec<Result<EncodeOutput, Error>> {
    let mut all = answers.join_all().await;
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, answer)| answer).collect()
}

/// Lets other tasks go on until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

fn model() -> ModelId {
    "m".parse().unwrap()
}

fn sae(id: &str) -> SaeName {
    SaeName::new(model(), id).unwrap()
}

fn sequence(ids: &[u32]) -> Sequence {
    Sequence {
        ids: ids.to_vec(),
        mask: vec![true; ids.len()],
    }
}

/// All that fires in the sequences, on one SAE of `m`.
fn encode(id: &str, sequences: &[&[u32]]) -> EncodeWork {
    EncodeWork {
        model: model(),
        sequences: sequences.iter().map(|ids| sequence(ids)).collect(),
        saes: vec![sae(id)],
        selection: Selection::AllFiring,
        scale: Scale::Raw,
        max_entries: usize::MAX,
        lane: Lane::Interactive,
        deadline: None,
    }
}

fn activations(answer: &Result<EncodeOutput, Error>) -> &[SparseActivations] {
    &answer.as_ref().unwrap().activations
}
