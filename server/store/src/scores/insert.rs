//! Storing scores with their examples, in the transaction that completes their work items.

use latentd_domain::ExplanationId;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{NewScore, ScoreExample};
use crate::{Error, explanations, text, work_items::WorkItem};

/// Namespace of the ids, itself at random.
const NAMESPACE: Uuid = Uuid::from_u128(0x1f0a_93c8_6d2b_4e0c_b1f5_72e9_0c64_a8d3);

/// A score, and where in its job it belongs.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) item: &'a WorkItem,
    pub(crate) stage: i16,
    pub(crate) score: &'a NewScore,
}

impl Placed<'_> {
    /// The same item gives the same score of the same explanation.
    fn id(&self) -> String {
        let ord = self.item.ord.to_string();
        let explanation = self.score.explanation.as_ref();
        let parts = [
            self.item.job.id(),
            &ord,
            explanation.map_or("", ExplanationId::id),
        ];
        explanations::id(NAMESPACE, &parts)
    }
}

/// Stores scores. Those of explanations that were deleted meanwhile are left out.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    scores: &[Placed<'_>],
) -> Result<(), Error> {
    let wanted: Vec<&str> = scores
        .iter()
        .filter_map(|placed| placed.score.explanation.as_ref().map(ExplanationId::id))
        .collect();
    let live = explanations::live(connection, &wanted).await?;
    let mut rows: Vec<(String, Placed<'_>)> = scores
        .iter()
        .filter(|placed| {
            let explanation = placed.score.explanation.as_ref();
            explanation.is_none_or(|id| live.contains(id.id()))
        })
        .map(|placed| (placed.id(), *placed))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    insert_scores(connection, &rows).await?;
    insert_examples(connection, &rows).await
}

async fn insert_scores(
    connection: &mut PgConnection,
    rows: &[(String, Placed<'_>)],
) -> Result<(), Error> {
    let strings = |value: fn(&NewScore) -> String| column(rows, value);
    let numbers = |value: fn(&NewScore) -> i64| column(rows, value);
    let floats = |value: fn(&NewScore) -> Option<f64>| column(rows, value);
    let confusion: Vec<Confusion> = column(rows, Confusion::of);
    let counts = |value: fn(&Confusion) -> i32| confusion.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        "insert into score (id, job_id, stage, explanation_id, sae, latent, scorer, value, n, n_failed, ci_low, ci_high,
             metrics, true_positives, false_positives, true_negatives, false_negatives, firing_tokens, provider,
             provider_model, prompt_version, calibration, seed)
         select * from unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::bigint[]::int[],
             $7::text[], $8::double precision[], $9::bigint[]::int[], $10::bigint[]::int[], $11::double precision[],
             $12::double precision[], $13::jsonb[], $14::int[], $15::int[], $16::int[], $17::int[], $18::bigint[],
             $19::text[], $20::text[], $21::text[], $22::text[], $23::bigint[])
         on conflict (id) do nothing",
    )
    .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, placed)| placed.item.job.id()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, placed)| placed.stage).collect::<Vec<_>>())
    .bind(column(rows, |score| score.explanation.as_ref().map(|id| id.id().to_owned())))
    .bind(strings(|score| score.sae.to_string()))
    .bind(numbers(|score| score.latent.into()))
    .bind(strings(|score| score.scorer.as_str().to_owned()))
    .bind(floats(|score| finite(score.value)))
    .bind(numbers(|score| score.n.into()))
    .bind(numbers(|score| score.n_failed.into()))
    .bind(floats(|score| finite(score.ci.map(|ci| ci.0))))
    .bind(floats(|score| finite(score.ci.map(|ci| ci.1))))
    .bind(column(rows, |score| {
        // JSON has neither NaN nor infinity.
        let metrics = score.metrics.iter().filter(|(_, value)| value.is_finite());
        Json(metrics.map(|(name, value)| (name.clone(), *value)).collect::<std::collections::BTreeMap<_, _>>())
    }))
    .bind(counts(|confusion| confusion.true_positives))
    .bind(counts(|confusion| confusion.false_positives))
    .bind(counts(|confusion| confusion.true_negatives))
    .bind(counts(|confusion| confusion.false_negatives))
    .bind(numbers(|score| score.firing_tokens as i64))
    .bind(column(rows, |score| score.provider.as_ref().map(|id| id.id().to_owned())))
    .bind(strings(|score| text::storable(&score.provider_model)))
    .bind(strings(|score| score.prompt_version.clone()))
    .bind(strings(|score| score.calibration.clone()))
    .bind(numbers(|score| score.seed.cast_signed()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_examples(
    connection: &mut PgConnection,
    rows: &[(String, Placed<'_>)],
) -> Result<(), Error> {
    let mut ids: Vec<&str> = Vec::new();
    let mut ords: Vec<i32> = Vec::new();
    let mut examples: Vec<&ScoreExample> = Vec::new();
    for (id, placed) in rows {
        for (ord, example) in placed.score.examples.iter().enumerate() {
            ids.push(id);
            ords.push(ord as i32);
            examples.push(example);
        }
    }
    let numbers = |value: fn(&ScoreExample) -> Option<u32>| -> Vec<Option<i32>> {
        let number = |example: &&ScoreExample| value(example).map(|number| number as i32);
        examples.iter().map(number).collect()
    };
    let floats = |value: fn(&ScoreExample) -> Option<f64>| -> Vec<Option<f64>> {
        examples.iter().map(|example| value(example)).collect()
    };
    let strings = |value: fn(&ScoreExample) -> Option<String>| -> Vec<Option<String>> {
        examples.iter().map(|example| value(example)).collect()
    };
    sqlx::query(
        "insert into score_example (score_id, ord, example, quantile, distance, label, prediction, probability, value, choice,
             chosen, truth, predicted, marked, failure, failure_detail, exchange)
         select c.score_id, c.ord, c.example, c.quantile, c.distance, c.label, c.prediction, c.probability, c.value, c.choice,
             c.chosen, c.truth::real[], c.predicted::real[], c.marked::int[], c.failure, c.failure_detail, c.exchange
         from unnest($1::text[], $2::int[], $3::text[], $4::int[], $5::double precision[], $6::bool[], $7::bool[],
                 $8::double precision[], $9::double precision[], $10::int[], $11::int[], $12::text[], $13::text[],
                 $14::text[], $15::text[], $16::text[], $17::text[])
             c(score_id, ord, example, quantile, distance, label, prediction, probability, value, choice, chosen, truth,
                 predicted, marked, failure, failure_detail, exchange)
         on conflict (score_id, ord) do nothing",
    )
    .bind(&ids)
    .bind(&ords)
    .bind(strings(|example| example.example.map(|id| id.to_string())))
    .bind(numbers(|example| example.quantile))
    .bind(floats(|example| example.distance))
    .bind(examples.iter().map(|example| example.label).collect::<Vec<_>>())
    .bind(examples.iter().map(|example| example.prediction).collect::<Vec<_>>())
    .bind(floats(|example| example.probability))
    .bind(floats(|example| example.value))
    .bind(numbers(|example| example.choice))
    .bind(numbers(|example| example.chosen))
    .bind(strings(|example| Some(text::array(&example.truth))))
    .bind(strings(|example| Some(text::array(&example.predicted))))
    .bind(strings(|example| Some(text::array(&example.marked))))
    .bind(strings(|example| example.failure.map(|reason| reason.as_str().to_owned())))
    .bind(strings(|example| Some(text::short(&example.failure_detail))))
    .bind(strings(|example| example.exchange.clone()))
    .execute(connection)
    .await?;
    Ok(())
}

/// One value of each score.
fn column<T>(rows: &[(String, Placed<'_>)], value: fn(&NewScore) -> T) -> Vec<T> {
    rows.iter().map(|(_, placed)| value(placed.score)).collect()
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Examples with a label and a prediction.
#[derive(Default)]
struct Confusion {
    true_positives: i32,
    false_positives: i32,
    true_negatives: i32,
    false_negatives: i32,
}

impl Confusion {
    fn of(score: &NewScore) -> Self {
        let mut confusion = Self::default();
        for example in &score.examples {
            match (example.label, example.prediction) {
                (Some(true), Some(true)) => confusion.true_positives += 1,
                (Some(false), Some(true)) => confusion.false_positives += 1,
                (Some(false), Some(false)) => confusion.true_negatives += 1,
                (Some(true), Some(false)) => confusion.false_negatives += 1,
                (None, _) | (_, None) => {}
            }
        }
        confusion
    }
}
