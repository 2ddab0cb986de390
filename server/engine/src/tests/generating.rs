//! Sequences that go on: beside each other and beside other works, and nobody can tell from the answer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use latentd_domain::{HasReason, Reason};
use latentd_nn::logits::Choice;
use serde::Deserialize;

use super::{
    Answers, Bench, activations, collect, encode,
    fake::{self, CONTEXT, FAILS, PANICS, VOCAB},
    model, until,
};
use crate::{
    Engine, Error, Finish, GenerateOutput, GenerateWork, Handle, Lane, Options, Sampling,
    ScoreSequence, ScoreTokensWork,
};

fn generate(prompt: &[u32], max_new_tokens: usize) -> GenerateWork {
    GenerateWork {
        model: model(),
        prompt: prompt.to_vec(),
        max_new_tokens,
        sampling: Sampling::default(),
        stop: Vec::new(),
        form: None,
        top_logprobs: 1,
        lane: Lane::Interactive,
        deadline: None,
    }
}

fn score(sequences: &[(&[u32], usize)]) -> ScoreTokensWork {
    let one = |&(ids, from): &(&[u32], usize)| ScoreSequence {
        ids: ids.to_vec(),
        from,
    };
    ScoreTokensWork {
        model: model(),
        sequences: sequences.iter().map(one).collect(),
        top: 0,
        lane: Lane::Bulk,
        deadline: None,
    }
}

/// What the fake makes of a prompt, token by token.
fn expected(prompt: &[u32], max_new: usize) -> Vec<u32> {
    let mut ids = prompt.to_vec();
    for _ in 0..max_new {
        ids.push(fake::answer(&ids, Choice::Likeliest).id);
    }
    ids.split_off(prompt.len())
}

/// A call that is under way; dropping it leaves.
struct Call(tokio::task::JoinSet<Result<GenerateOutput, Error>>);

impl Call {
    fn begin(handle: &Handle, work: GenerateWork) -> Self {
        let (mut set, handle) = (tokio::task::JoinSet::new(), handle.clone());
        set.spawn(async move { handle.generate(work).await });
        Self(set)
    }

    async fn answer(mut self) -> Result<GenerateOutput, Error> {
        self.0.join_next().await.unwrap().unwrap()
    }
}

/// Submits all and waits for all, in order.
async fn all(handle: Handle, works: Vec<GenerateWork>) -> Vec<Result<GenerateOutput, Error>> {
    let mut set = tokio::task::JoinSet::new();
    for (index, work) in works.into_iter().enumerate() {
        let handle = handle.clone();
        set.spawn(async move { (index, handle.generate(work).await) });
    }
    let mut answers = set.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The same, submitted while the device is busy, so that they begin together.
async fn at_once(bench: &Bench, works: Vec<GenerateWork>) -> Vec<Result<GenerateOutput, Error>> {
    let mut busy = Answers::new();
    bench.occupy(&mut busy).await;
    let (mut answers, count) = (tokio::task::JoinSet::new(), works.len());
    answers.spawn(all(bench.handle.clone(), works));
    until(|| bench.handle.queued() == count).await;
    bench.script.open_gate();
    collect(busy).await;
    answers.join_next().await.unwrap().unwrap()
}

#[tokio::test]
async fn each_gets_what_it_gets_alone_and_steps_are_shared() {
    let bench = Bench::start().await;
    let works: Vec<GenerateWork> = (0..12u32)
        .map(|n| {
            let prompt: Vec<u32> = (0..=n * 3).map(|i| (i * 7 + n) % 300).collect();
            let mut work = generate(&prompt, 20);
            if n.is_multiple_of(3) {
                work.sampling = Sampling {
                    temperature: 1.0,
                    top_p: 0.9,
                    seed: u64::from(n),
                };
                work.lane = Lane::Bulk;
            }
            work
        })
        .collect();
    let mut alone = Vec::new();
    for work in works.clone() {
        let output = bench.handle.generate(work).await.unwrap();
        assert_eq!((output.ids.len(), output.scores.len()), (20, 20));
        assert_eq!(output.finish, Finish::Length);
        alone.push((output.ids, output.scores));
    }
    assert_eq!(alone[1].0, expected(&works[1].prompt, 20));
    assert_ne!(alone[3].0, expected(&works[3].prompt, 20));
    bench.script.take_passes();
    let together = at_once(&bench, works).await;
    for (together, alone) in together.into_iter().zip(alone) {
        let output = together.unwrap();
        assert!(output.cost.batch_requests > 1, "{:?}", output.cost);
        assert_eq!((output.ids, output.scores), alone);
    }
    assert!(bench.script.take_passes().len() < 60);
}

#[tokio::test]
async fn other_works_have_their_turn_in_mid_answer() {
    let bench = Bench::start().await;
    let alone = bench.handle.encode(encode("s3", &[&[1, 2, 3]])).await;
    bench.script.take_passes();
    bench.script.close_gate();
    let long = Call::begin(&bench.handle, generate(&[5, 6], 40));
    until(|| bench.script.arrived() > 0).await;
    let mut answers = Answers::new();
    let mut bulk = encode("s3", &[&[1, 2, 3]]);
    bulk.lane = Lane::Bulk;
    bench
        .submit(&mut answers, [encode("s3", &[&[1, 2, 3]]), bulk])
        .await;
    bench.script.open_gate();
    let answers = collect(answers).await;
    assert_eq!(activations(&answers[0]), activations(&alone));
    assert_eq!(long.answer().await.unwrap().ids, expected(&[5, 6], 40));
    let passes = bench.script.take_passes();
    let encodes: Vec<usize> = (0..passes.len())
        .filter(|&pass| !passes[pass].hook_points.is_empty())
        .collect();
    assert_eq!(passes.len(), 42);
    assert_eq!(encodes[0], 1, "right after the step that ran");
    assert!(
        encodes[1] > 8 && encodes[1] < 12,
        "bulk has its turn: {encodes:?}"
    );
}

#[tokio::test]
async fn what_begins_alike_is_computed_once() {
    let bench = Bench::start().await;
    let front: Vec<u32> = (0..30).collect();
    let prompt = |last: u32| [&front[..], &[last, last]].concat();
    let first = bench
        .handle
        .generate(generate(&prompt(1), 5))
        .await
        .unwrap();
    bench.script.take_passes();
    let second = bench
        .handle
        .generate(generate(&prompt(2), 5))
        .await
        .unwrap();
    assert_eq!(first.ids, expected(&prompt(1), 5));
    assert_eq!(second.ids, expected(&prompt(2), 5));
    let passes = bench.script.take_passes();
    assert_eq!(passes[0].ids, [2, 2]);
    let again = bench
        .handle
        .generate(generate(&prompt(1), 5))
        .await
        .unwrap();
    assert_eq!((again.ids, again.scores), (first.ids, first.scores));
    // Nothing is left of a model that is gone.
    bench.handle.unload_model(&model(), true).await.unwrap();
    bench
        .handle
        .load_model(model(), "models/other".into(), None)
        .await
        .unwrap();
    bench.script.take_passes();
    bench
        .handle
        .generate(generate(&prompt(1), 1))
        .await
        .unwrap();
    assert_eq!(bench.script.take_passes()[0].ids.len(), 32);
}

#[tokio::test]
async fn given_tokens_are_scored_from_where_it_is_asked() {
    let bench = Bench::start().await;
    let ids: Vec<u32> = (0..40).map(|i| i * 11 % 300).collect();
    let work = score(&[(&ids, 1), (&ids, 25), (&ids[..2], 1), (&ids, 40)]);
    let output = bench.handle.score_tokens(work).await.unwrap();
    let lengths: Vec<usize> = output.scores.iter().map(Vec::len).collect();
    assert_eq!(lengths, [39, 15, 1, 0]);
    for (place, score) in output.scores[0].iter().enumerate() {
        let expected = fake::answer(&ids[..=place], Choice::Given(ids[place + 1]));
        assert_eq!(score.logprob, expected.logprob);
    }
    assert_eq!(output.scores[0][24..], output.scores[1][..]);
    assert_eq!(output.cost.tokens, 122);
}

#[tokio::test]
async fn an_answer_ends_at_a_token_that_ends_it_or_with_the_context() {
    let bench = Bench::start().await;
    let whole = expected(&[1, 2, 3], 30);
    let mut work = generate(&[1, 2, 3], 30);
    let place = (1..30).find(|&i| !whole[..i].contains(&whole[i])).unwrap();
    work.stop = vec![whole[place], 999];
    let output = bench.handle.generate(work).await.unwrap();
    assert_eq!(
        (output.finish, &output.ids[..]),
        (Finish::Stop, &whole[..place])
    );
    let long = bench
        .handle
        .generate(generate(&[1, 2, 3], 1000))
        .await
        .unwrap();
    assert_eq!((long.finish, long.ids.len()), (Finish::Length, CONTEXT - 2));
    let none = bench.handle.generate(generate(&[1], 0)).await.unwrap();
    assert!(none.ids.is_empty());
}

#[tokio::test]
async fn a_failure_is_its_own_alone() {
    let bench = Bench::start().await;
    bench.script.limit_memory(24);
    let mut works: Vec<GenerateWork> = (0..8u32).map(|n| generate(&[n; 12], 6)).collect();
    works.push(generate(&[1, FAILS, 2], 6));
    works.push(generate(&[3; 40], 6));
    works.push(generate(&[1, PANICS], 6));
    let answers = at_once(&bench, works).await;
    for (n, answer) in answers[..8].iter().enumerate() {
        let output = answer.as_ref().unwrap();
        assert_eq!(output.ids, expected(&[n as u32; 12], 6), "{n}");
    }
    assert_eq!(answers[8].as_ref().unwrap_err().reason(), Reason::Internal);
    let memory = answers[9].as_ref().unwrap_err();
    assert!(
        matches!(memory, Error::OutOfDeviceMemory { tokens: 40 }),
        "{memory}"
    );
    assert!(matches!(answers[10], Err(Error::Panic { .. })));
    assert!(!bench.handle.health().borrow().is_serving());
}

#[tokio::test]
async fn who_leaves_or_is_late_makes_room() {
    let bench = Bench::start().await;
    bench.script.close_gate();
    let left = Call::begin(&bench.handle, generate(&[1], 50));
    let deadline = Instant::now() + Duration::from_millis(200);
    let mut work = generate(&[2], 50);
    work.deadline = Some(deadline);
    let late = Call::begin(&bench.handle, work);
    until(|| bench.script.arrived() > 0).await;
    drop(left);
    until(|| Instant::now() > deadline).await;
    bench.script.open_gate();
    assert!(matches!(late.answer().await, Err(Error::DeadlineExceeded)));
    bench.handle.generate(generate(&[3], 1)).await.unwrap();
    assert!(bench.script.take_passes().len() < 10);
}

#[tokio::test]
async fn more_than_there_is_room_for_waits() {
    // The fake keeps 8 bytes a token: room for one answer of 40 at a time, and a larger one is let in alone.
    let bench = Bench::with(Options {
        past_bytes: 8 * 40,
        ..Options::default()
    })
    .await;
    let works: Vec<GenerateWork> = (0..6)
        .map(|n| generate(&[n, n + 1], 30 + n as usize * 5))
        .collect();
    for (n, answer) in at_once(&bench, works).await.into_iter().enumerate() {
        let n = n as u32;
        assert_eq!(
            answer.unwrap().ids,
            expected(&[n, n + 1], 30 + n as usize * 5)
        );
    }
    let ids: Vec<u32> = (0..50).collect();
    let many: Vec<(&[u32], usize)> = (0..40).map(|n| (&ids[n..n + 10], 1)).collect();
    let output = bench.handle.score_tokens(score(&many)).await.unwrap();
    assert!(output.scores.iter().all(|scores| scores.len() == 9));
}

#[tokio::test]
async fn at_the_end_answers_are_finished_or_refused() {
    let bench = Bench::start().await;
    bench.script.close_gate();
    let answer = Call::begin(&bench.handle, generate(&[1], 20));
    until(|| bench.script.arrived() > 0).await;
    let (engine, script) = (bench.engine, bench.script);
    let ending = tokio::task::spawn_blocking(move || engine.shutdown());
    until(|| !bench.handle.health().borrow().is_serving()).await;
    script.open_gate();
    ending.await.unwrap();
    assert_eq!(answer.answer().await.unwrap().ids.len(), 20);

    let bench = Bench::start().await;
    bench.script.close_gate();
    let answer = Call::begin(&bench.handle, generate(&[1], 60));
    until(|| bench.script.arrived() > 0).await;
    let (engine, script) = (bench.engine, bench.script);
    let ending = tokio::task::spawn_blocking(move || drop(engine));
    let waiting = bench.handle.generate(generate(&[2], 1));
    let waiting = tokio::time::timeout(Duration::from_millis(100), waiting).await;
    script.open_gate();
    ending.await.unwrap();
    assert!(matches!(answer.answer().await, Err(Error::ShuttingDown)));
    assert!(waiting.is_err() || matches!(waiting, Ok(Err(Error::ShuttingDown))));
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_once() {
    let bench = Bench::start().await;
    let reason = |answer: Result<GenerateOutput, Error>| answer.unwrap_err().reason();
    let of = |work| bench.handle.generate(work);
    assert_eq!(reason(of(generate(&[], 5)).await), Reason::EmptyBatch);
    let long = vec![1; CONTEXT + 1];
    assert_eq!(reason(of(generate(&long, 5)).await), Reason::PromptTooLong);
    assert_eq!(of(generate(&long[1..], 5)).await.unwrap().ids.len(), 1);
    let unknown = [VOCAB as u32];
    assert_eq!(
        reason(of(generate(&unknown, 5)).await),
        Reason::UnknownToken
    );
    let mut other = generate(&[1], 5);
    other.model = "other".parse().unwrap();
    assert_eq!(reason(of(other).await), Reason::UnknownModel);
    for (ids, from) in [(&[1u32, 2][..], 0), (&[1, 2], 3)] {
        let error = bench
            .handle
            .score_tokens(score(&[(ids, from)]))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidRequest);
    }
    let error = bench.handle.score_tokens(score(&[])).await.unwrap_err();
    assert_eq!(error.reason(), Reason::EmptyBatch);
}

/// What transformers generates with the tiny models, all of it asked at once.
#[tokio::test]
async fn real_models_generate_what_transformers_does() {
    #[derive(Deserialize)]
    struct Case {
        model: String,
        prompt: Vec<u32>,
        prompt_logprobs: Vec<f32>,
        generated: Vec<Chosen>,
    }
    #[derive(Deserialize)]
    struct Chosen {
        id: u32,
        logprob: f32,
    }
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let text = fs_err::read(goldens.join("generation/models.json")).unwrap();
    let mut cases: Vec<Case> = serde_json::from_slice(&text).unwrap();
    cases.retain(|case| goldens.join("models").join(&case.model).is_dir());
    let (_engine, handle) = Engine::start(Options::default()).unwrap();
    for case in &cases {
        let path = goldens.join("models").join(&case.model);
        let id = case.model.parse().unwrap();
        handle.load_model(id, path, None).await.unwrap();
    }
    let works = cases.iter().map(|case| GenerateWork {
        model: case.model.parse().unwrap(),
        ..generate(&case.prompt, case.generated.len())
    });
    let answers = all(handle.clone(), works.collect()).await;
    for (case, answer) in cases.iter().zip(answers) {
        let answer = answer.unwrap();
        let ids: Vec<u32> = case.generated.iter().map(|chosen| chosen.id).collect();
        assert_eq!(answer.ids, ids, "{}", case.model);
        for (score, chosen) in answer.scores.iter().zip(&case.generated) {
            assert!(
                (score.logprob - chosen.logprob).abs() < 1e-4,
                "{}",
                case.model
            );
        }
        let mut work = score(&[
            (&case.prompt, 1),
            (&[&case.prompt[..], &ids].concat(), case.prompt.len()),
        ]);
        work.model = case.model.parse().unwrap();
        let scored = handle.score_tokens(work).await.unwrap();
        for (score, expected) in scored.scores[0].iter().zip(&case.prompt_logprobs) {
            assert!((score.logprob - expected).abs() < 1e-4, "{}", case.model);
        }
        // Scored at once or made one by one: the same bits.
        let made: Vec<f32> = answer.scores.iter().map(|score| score.logprob).collect();
        let at_once: Vec<f32> = scored.scores[1].iter().map(|score| score.logprob).collect();
        assert_eq!(made, at_once, "{}", case.model);
    }
}
