//! ExportExplanations: explanations by SAE and latent, each followed by its scores; then scores that need no explanation.
//!
//! Read page by page as the client takes it. What examples show is read from their caches again; where that is not possible the
//! lines have no tokens.

use std::collections::HashMap;

use futures::{Stream, StreamExt, stream};
use latentd_domain::{JobId, SaeName, ScoreId};
use latentd_proto::v1::{self as pb, export_explanations_request::Form};
use latentd_store::{explanations::Filter, page::Page, scores::Score};
use serde_json::Value;
use tonic::Status;

use super::{
    export::{delphi, neuronpedia},
    get_score::with_examples,
    message,
    windows::{self, Origin},
};
use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations, shutting_down},
};

/// Explanations that are read at once, with the examples of all their scores.
const PAGE: u32 = 16;

type Response = pb::ExportExplanationsResponse;

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ExportExplanationsRequest,
) -> Result<impl Stream<Item = Result<Response, Status>>, Error> {
    let mut exporter = parse(app, &request)?;
    if let Some(job) = &exporter.job {
        exporter.app.store.jobs().get(job).await?;
    }
    // The first page is read here, so that what cannot be read is refused before the stream begins.
    let first = exporter.next().await?;
    let state = first.map(|lines| (exporter, Some(lines)));
    let pages = stream::unfold(state, |state| async move {
        let (mut exporter, ready) = state?;
        if exporter.app.life.is_draining() {
            return Some((Err(shutting_down()), None));
        }
        let lines = match ready {
            Some(lines) => Ok(Some(lines)),
            None => exporter.next().await,
        };
        match lines {
            Ok(Some(lines)) => Some((Ok(lines), Some((exporter, None)))),
            Ok(None) => None,
            Err(error) => Some((Err(Status::from(error)), None)),
        }
    });
    Ok(pages.flat_map(|page| match page {
        Ok(lines) => stream::iter(
            lines
                .into_iter()
                .map(|line| Ok(response(&line)))
                .collect::<Vec<_>>(),
        ),
        Err(status) => stream::iter(vec![Err(status)]),
    }))
}

fn response(line: &Value) -> Response {
    Response {
        line: line.to_string(),
    }
}

fn parse(app: Shared, request: &pb::ExportExplanationsRequest) -> Result<Exporter, Error> {
    let mut violations = Violations::default();
    let sae = violations.optional("sae", &request.sae);
    let job = violations.optional("job", &request.job);
    let form = violations.choice("form", request.form, "Form");
    violations.check().map(|()| Exporter {
        app,
        sae,
        job,
        form,
        at: At::Explanations(Page {
            size: PAGE,
            token: String::new(),
        }),
        origins: HashMap::new(),
    })
}

/// How far an export is.
enum At {
    Explanations(Page),
    Scores(Option<ScoreId>),
    End,
}

/// An export on its way.
struct Exporter {
    app: Shared,
    sae: Option<SaeName>,
    job: Option<JobId>,
    form: Form,
    at: At,
    /// Where the examples of each job's scores are from.
    origins: HashMap<JobId, Option<Origin>>,
}

impl Exporter {
    /// The lines of the next page; `None` after the last.
    async fn next(&mut self) -> Result<Option<Vec<Value>>, Error> {
        match &self.at {
            At::Explanations(page) => {
                let page = page.clone();
                self.explanations(page).await.map(Some)
            }
            At::Scores(after) => {
                let after = after.clone();
                self.scores(after).await
            }
            At::End => Ok(None),
        }
    }

    async fn explanations(&mut self, page: Page) -> Result<Vec<Value>, Error> {
        let filter = Filter {
            sae: self.sae.clone(),
            job: self.job.clone(),
            ..Filter::default()
        };
        let listed = self.app.store.explanations().list(&filter, &page).await?;
        self.at = if listed.next_page_token.is_empty() {
            At::Scores(None)
        } else {
            At::Explanations(Page {
                size: PAGE,
                token: listed.next_page_token,
            })
        };
        let mut lines = Vec::new();
        for mut explanation in listed.items {
            let sae = explanation.sae.clone();
            let mut scores = std::mem::take(&mut explanation.scores);
            // An export of a job leaves out what other jobs said of the same explanation. Scores of the latent itself come at
            // the end, each once.
            scores.retain(|score| {
                let of_job = self.job.as_ref().is_none_or(|job| score.job == *job);
                of_job && score.explanation.is_some()
            });
            let explanation = message::explanation(explanation);
            lines.push(match self.form {
                Form::Unspecified | Form::Delphi => delphi::explanation(&explanation),
                Form::Neuronpedia => neuronpedia::explanation(&explanation, &self.source(&sae)),
            });
            lines.extend(self.lines(scores).await?);
        }
        Ok(lines)
    }

    async fn scores(&mut self, after: Option<ScoreId>) -> Result<Option<Vec<Value>>, Error> {
        let (sae, job) = (self.sae.as_ref(), self.job.as_ref());
        let scores = self.app.store.scores();
        let scores = scores
            .without_explanation(sae, job, after.as_ref(), PAGE)
            .await?;
        let Some(last) = scores.last() else {
            self.at = At::End;
            return Ok(None);
        };
        self.at = At::Scores(Some(last.id.clone()));
        self.lines(scores).await.map(Some)
    }

    /// The lines of scores.
    async fn lines(&mut self, scores: Vec<Score>) -> Result<Vec<Value>, Error> {
        let mut about = Vec::with_capacity(scores.len());
        let mut messages = Vec::with_capacity(scores.len());
        for score in scores {
            about.push((score.job.clone(), score.latent));
            messages.push((score.id.clone(), message::score(score)));
        }
        let mut lines = Vec::with_capacity(messages.len());
        let scores = with_examples(&self.app, messages).await?;
        for ((job, latent), score) in about.into_iter().zip(scores) {
            if !self.origins.contains_key(&job) {
                let origin = windows::origin(&self.app, &job).await;
                self.origins.insert(job.clone(), origin);
            }
            let windows = match self.origins.get(&job) {
                Some(Some(origin)) => origin.windows(latent, &score.examples).await,
                Some(None) | None => HashMap::new(),
            };
            match self.form {
                Form::Unspecified | Form::Delphi => lines.push(delphi::score(&score, &windows)),
                Form::Neuronpedia => lines.extend(neuronpedia::score(&score, &windows)),
            }
        }
        Ok(lines)
    }

    /// What Neuronpedia calls the SAE: what its file says, else our own ids.
    fn source(&self, sae: &SaeName) -> neuronpedia::Source {
        let catalog = self.app.engine.catalog();
        let info = catalog.saes.get(sae).map(|entry| &entry.info);
        let id = info.and_then(|info| info.neuronpedia_id.as_deref());
        id.and_then(neuronpedia::Source::parse)
            .unwrap_or_else(|| neuronpedia::Source {
                model: sae.model().id().to_owned(),
                layer: sae.id().to_owned(),
            })
    }
}
