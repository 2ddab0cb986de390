//! How fast the database takes auto-interpretation work, with every commit on the disk:
//! `cargo run --release -p latentd-store --features test-support --example bench_interp [items] [examples] [processes]`.
//!
//! Submits a job of `items` (100 000) work items, five to a latent, and times its progress. Then `processes` (2) handles on one
//! database, each as a server would, claim items, begin and answer one call of a language model for each (4 KB asked, 0.3 KB
//! answered), and complete them in batches: an explanation for each latent, a score with `examples` (10) examples for each
//! scorer. Prints work items a second.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use latentd_domain::{
    JobId, SaeName,
    autointerp::{
        AutointerpSpec, Budget, Calibration, ExampleId, ExamplePlan, ExplainerKind, ExplainerSpec,
        Latents, ScorerKind, ScorerSpec, Usage,
    },
};
use latentd_store::{
    Store, embedded,
    exchanges::{Answered, Begin},
    explanations::{NewExplanation, Provenance},
    interp::{Completion, EXPLAIN_LATENTS, KINDS, Outcome},
    jobs::NewJob,
    leases::Owner,
    scores::{NewScore, ScoreExample},
    test_support,
    work_items::WorkItem,
};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SCORERS: [ScorerKind; 4] = [
    ScorerKind::Detection,
    ScorerKind::Fuzzing,
    ScorerKind::Intruder,
    ScorerKind::Surprisal,
];
const STAGES: u32 = 1 + SCORERS.len() as u32;
const LEASE: Duration = Duration::from_mins(1);
/// Items of one batch, and batches that a process has under way at once.
const BATCH: u32 = 128;
const TASKS: usize = 2;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<usize>());
    let mut argument = |default| arguments.next().unwrap_or(Ok(default));
    let (items, examples, processes) = (argument(100_000)?, argument(10)?, argument(2)?);
    let dir = test_support::DataDir::new();
    let postgres = embedded::start(embedded::Options {
        durable: true,
        ..test_support::options(dir.path())
    })
    .await?;
    let database = postgres.database();
    let store = Store::connect(&database).await?;

    let spec = spec(items as u32 / STAGES)?;
    let job = submit(&store, &spec).await?;
    let started = Instant::now();
    let mut stores = Vec::new();
    for _ in 0..processes {
        stores.push(Store::connect(&database).await?);
    }
    let mut running = tokio::task::JoinSet::new();
    for store in &stores {
        let owner = Owner::new();
        store.processes().heartbeat(owner, LEASE).await?;
        for _ in 0..TASKS {
            let worker = Worker {
                store: store.clone(),
                job: job.clone(),
                owner,
                examples,
            };
            running.spawn(worker.run());
        }
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let progress = store.interp().progress(&job).await?;
    println!(
        "{} items with {} calls and {examples} examples a score by {processes} processes: {seconds:.1} s, {:.0} items/s",
        progress.counts.done,
        progress.spent.calls,
        progress.counts.done as f64 / seconds
    );
    time_progress(&store, &job).await?;
    let started = Instant::now();
    let summary = store.interp().summary(&job).await?;
    println!(
        "summary of {} latents: {:.1?}",
        summary.explained,
        started.elapsed()
    );
    postgres.stop().await;
    Ok(())
}

async fn submit(store: &Store, spec: &AutointerpSpec) -> Result<JobId> {
    let started = Instant::now();
    let new = NewJob {
        kind: EXPLAIN_LATENTS.into(),
        spec: serde_json::to_value(spec)?,
        result: String::new(),
        request: None,
    };
    let job = store.interp().submit(spec, &new).await?.into_job().id;
    store
        .leases()
        .claim_job(&KINDS, Owner::new(), LEASE)
        .await?;
    store.interp().insert_items(&job, spec).await?;
    println!(
        "{} items submitted in {:.2?}",
        spec.items(),
        started.elapsed()
    );
    time_progress(store, &job).await?;
    Ok(job)
}

async fn time_progress(store: &Store, job: &JobId) -> Result<()> {
    let started = Instant::now();
    for _ in 0..100 {
        store.interp().progress(job).await?;
    }
    println!("progress: {:.2?} a query", started.elapsed() / 100);
    Ok(())
}

struct Worker {
    store: Store,
    job: JobId,
    owner: Owner,
    examples: usize,
}

impl Worker {
    async fn run(self) -> Result<()> {
        loop {
            let items = self.store.interp().claim(self.owner, BATCH).await?;
            if items.is_empty() {
                let counts = self.store.interp().progress(&self.job).await?.counts;
                if counts.done == counts.total {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            let calls: Vec<Begin> = items
                .iter()
                .map(|item| self.begin(item))
                .collect::<Result<_>>()?;
            self.store
                .exchanges()
                .begin(&calls, self.owner, LEASE)
                .await?;
            let answers: Vec<Answered> = calls.iter().map(|call| self.answer(&call.hash)).collect();
            self.store.exchanges().answer(&answers, self.owner).await?;
            let done: Vec<Completion> = items
                .into_iter()
                .map(|item| {
                    Ok(Completion {
                        outcome: self.outcome(&item)?,
                        item,
                    })
                })
                .collect::<Result<_>>()?;
            self.store.interp().complete(&done, self.owner).await?;
        }
    }

    fn begin(&self, item: &WorkItem) -> Result<Begin> {
        let words = "the quick brown fox jumps over the lazy dog and <<so>> on ";
        Ok(Begin {
            hash: format!("{:064x}", item.ord),
            provider: "bench".parse()?,
            model: "a model".into(),
            job: self.job.clone(),
            request: json!({"ord": item.ord, "messages": [{"role": "user", "content": words.repeat(70)}]}),
        })
    }

    fn answer(&self, hash: &str) -> Answered {
        Answered {
            hash: hash.to_owned(),
            job: self.job.clone(),
            reply: json!({"text": "fires on the ends of sentences ".repeat(10)}),
            usage: Usage {
                prompt_tokens: 1000,
                completion_tokens: 20,
            },
            micros: 7,
        }
    }

    fn outcome(&self, item: &WorkItem) -> Result<Outcome> {
        let explanation = self.explanation(item.ord / STAGES)?;
        let stage = item.ord % STAGES;
        if stage == 0 {
            return Ok(Outcome::Explained {
                explanations: vec![explanation],
                existing: Vec::new(),
            });
        }
        let examples = (0..self.examples as u32).map(|n| ScoreExample {
            example: Some(ExampleId {
                row: n.into(),
                start: n,
                len: 32,
            }),
            quantile: Some(n % 10),
            label: Some(n % 2 == 0),
            prediction: Some(n % 3 == 0),
            probability: Some(0.5),
            exchange: Some(format!("{:064x}", item.ord)),
            ..ScoreExample::default()
        });
        let score = NewScore {
            explanation: Some(explanation.id().parse()?),
            sae: explanation.sae,
            latent: explanation.latent,
            scorer: SCORERS
                .get(stage as usize - 1)
                .copied()
                .unwrap_or(ScorerKind::Detection),
            value: Some(0.75),
            n: self.examples as u32,
            n_failed: 0,
            ci: Some((0.5, 0.9)),
            metrics: [("f1".to_owned(), 0.8), ("precision".to_owned(), 0.7)].into(),
            firing_tokens: 100,
            provider: None,
            provider_model: "a model".into(),
            prompt_version: "detection/1".into(),
            calibration: String::new(),
            seed: 1,
            examples: examples.collect(),
        };
        Ok(Outcome::Scored {
            scores: vec![score],
        })
    }

    fn explanation(&self, latent: u32) -> Result<NewExplanation> {
        Ok(NewExplanation {
            sae: "bench/sae".parse::<SaeName>()?,
            latent,
            text: "fires on the ends of sentences, and on names of cities".into(),
            explainer: "default".into(),
            provenance: Provenance {
                job: Some(self.job.clone()),
                prompt_version: "default/1".into(),
                examples: (0..40)
                    .map(|row| ExampleId {
                        row,
                        start: 0,
                        len: 32,
                    })
                    .collect(),
                ..Provenance::default()
            },
        })
    }
}

fn spec(latents: u32) -> Result<AutointerpSpec> {
    let scorers = SCORERS.map(|kind| ScorerSpec {
        kind,
        provider: None,
        encoder: None,
        examples_per_prompt: 5,
        calibration: Calibration::Uncalibrated,
        threshold: 0.3,
        temperature: 0.0,
        max_tokens: 0,
    });
    Ok(AutointerpSpec {
        sae: "bench/sae".parse()?,
        sae_digest: String::new(),
        cache: "bench".parse()?,
        latents: Latents::Range(0, latents),
        explainer: ExplainerSpec {
            kind: ExplainerKind::Default,
            provider: None,
            threshold: 0.3,
            chain_of_thought: false,
            temperature: 0.0,
            max_tokens: 500,
        },
        explanations: Vec::new(),
        scorers: scorers.into(),
        examples: ExamplePlan::default(),
        budget: Budget::default(),
    })
}
