//! Sentence encoders: not providers, because they are resident here and cost nothing that is worth keeping.

use latentd_autointerp::{Embed, Failure, Reply};
use latentd_domain::{HasReason, ModelId, Reason};
use latentd_engine::{EmbedWork, Lane};

use crate::{app::App, grpc::error::Error};

/// The sentence encoder that is resident, if there is just one.
pub(crate) fn the_one(app: &App) -> Result<ModelId, Error> {
    let catalog = app.engine.catalog();
    let mut encoders = catalog.sentence_encoders();
    match (encoders.next(), encoders.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (None, _) => Err(Error::new(
            Reason::NoSentenceEncoder,
            "no sentence encoder is resident; load one, such as all-MiniLM-L6-v2",
        )),
        (Some(_), Some(_)) => Err(Error::new(
            Reason::NoSentenceEncoder,
            "several sentence encoders are resident; name one",
        )),
    }
}

/// Asks a sentence encoder.
pub(super) async fn ask(app: &App, model: &ModelId, embed: &Embed) -> Result<Reply, Failure> {
    let work = EmbedWork {
        model: model.clone(),
        texts: embed.texts.clone(),
        lane: Lane::Bulk,
        deadline: None,
    };
    let output = app
        .engine
        .embed(work)
        .await
        .map_err(|error| Failure::new(error.reason(), error.to_string()))?;
    let rows = output
        .embeddings
        .values
        .chunks(output.embeddings.width.max(1));
    Ok(Reply::Embed(rows.map(<[f32]>::to_vec).collect()))
}
