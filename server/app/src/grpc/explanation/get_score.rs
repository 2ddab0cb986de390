//! GetScore: one score, with a row for each example that was shown.

use latentd_domain::ScoreId;
use latentd_proto::v1 as pb;

use super::message;
use crate::{
    app::{App, Shared},
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::GetScoreRequest,
) -> Result<pb::Score, Error> {
    let mut violations = Violations::default();
    let id: Option<ScoreId> = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let score = message::score(app.store.scores().get(&id).await?);
    let mut scores = with_examples(&app, vec![(id, score)]).await?;
    let none = || Error::internal("a score was lost on the way");
    scores.pop().ok_or_else(none)
}

/// The scores with their examples.
pub(super) async fn with_examples(
    app: &App,
    scores: Vec<(ScoreId, pb::Score)>,
) -> Result<Vec<pb::Score>, Error> {
    let (ids, scores): (Vec<ScoreId>, Vec<pb::Score>) = scores.into_iter().unzip();
    let mut examples = app.store.scores().examples(&ids).await?;
    let scores = ids.iter().zip(scores).map(|(id, mut score)| {
        let rows = examples.remove(id).unwrap_or_default();
        score.examples = rows.into_iter().map(message::score_example).collect();
        score
    });
    Ok(scores.collect())
}
