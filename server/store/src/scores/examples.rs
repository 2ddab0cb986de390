//! The rows that a score is computed from.

use std::collections::HashMap;

use latentd_domain::{Reason, ScoreId, autointerp::ExampleId};
use sqlx::{Row, postgres::PgRow};

use super::{ScoreExample, Scores};
use crate::Error;

const TABLE: &str = "score_example";

impl Scores<'_> {
    /// The examples of scores, in the order in which they were shown. A score without any has no entry.
    pub async fn examples(
        self,
        scores: &[ScoreId],
    ) -> Result<HashMap<ScoreId, Vec<ScoreExample>>, Error> {
        let ids: Vec<&str> = scores.iter().map(ScoreId::id).collect();
        let rows = sqlx::query(
            "select score_id, example, quantile, distance, label, prediction, probability, value, choice, chosen, truth,
                 predicted, marked, failure, failure_detail, exchange
             from score_example where score_id = any($1) order by score_id, ord",
        )
        .bind(ids)
        .fetch_all(self.0.pool())
        .await?;
        let mut examples: HashMap<ScoreId, Vec<ScoreExample>> = HashMap::new();
        for row in &rows {
            let id: String = row.try_get("score_id")?;
            let id = id
                .parse()
                .map_err(|error| Error::unreadable(TABLE, error))?;
            examples.entry(id).or_default().push(read(row)?);
        }
        Ok(examples)
    }
}

fn read(row: &PgRow) -> Result<ScoreExample, Error> {
    let number = |column| -> Result<Option<u32>, Error> {
        let number: Option<i32> = row.try_get(column)?;
        Ok(number.map(|number| number.max(0) as u32))
    };
    let example: Option<String> = row.try_get("example")?;
    let failure: Option<String> = row.try_get("failure")?;
    let marked: Vec<i32> = row.try_get("marked")?;
    Ok(ScoreExample {
        example: example
            .map(|id| id.parse::<ExampleId>())
            .transpose()
            .map_err(|error| Error::unreadable(TABLE, error))?,
        quantile: number("quantile")?,
        distance: row.try_get("distance")?,
        label: row.try_get("label")?,
        prediction: row.try_get("prediction")?,
        probability: row.try_get("probability")?,
        value: row.try_get("value")?,
        choice: number("choice")?,
        chosen: number("chosen")?,
        truth: row.try_get("truth")?,
        predicted: row.try_get("predicted")?,
        marked: marked
            .into_iter()
            .map(|token| token.max(0) as u32)
            .collect(),
        // One that a newer version wrote is still a failure.
        failure: failure.map(|name| Reason::parse(&name).unwrap_or(Reason::Internal)),
        failure_detail: row.try_get("failure_detail")?,
        exchange: row.try_get("exchange")?,
    })
}
