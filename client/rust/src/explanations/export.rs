//! ExportExplanations: explanations and scores as lines of JSON, in the form of another tool.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Stream, StreamExt as _};
use latentd_proto::v1::{self as proto, export_explanations_request::Form};
use tonic::Streaming;

use crate::{Client, Result, client::stub, retry::Repeat};

/// Form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportForm {
    /// delphi's: an object for each explanation, and for each score the list that its scorer's file holds.
    #[default]
    Delphi,
    /// Neuronpedia's: rows of its tables of explanations and of their scores.
    Neuronpedia,
}

/// What to write out.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExportRequest(proto::ExportExplanationsRequest);

impl ExportRequest {
    /// All explanations and scores, in this form.
    pub fn new(form: ExportForm) -> Self {
        let mut request = proto::ExportExplanationsRequest::default();
        request.set_form(match form {
            ExportForm::Delphi => Form::Delphi,
            ExportForm::Neuronpedia => Form::Neuronpedia,
        });
        Self(request)
    }

    /// Only of this SAE: `{model}/{sae}`, or the full resource name.
    pub fn sae(mut self, sae: impl Into<String>) -> Self {
        self.0.sae = sae.into();
        self
    }

    /// Only of this job: `{job}`, or `jobs/{job}`.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.0.job = job.into();
        self
    }
}

/// Lines, each one JSON object without a line break.
#[must_use = "the server sends on only as lines are taken"]
pub struct ExportLines(Streaming<proto::ExportExplanationsResponse>);

impl Stream for ExportLines {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.0.poll_next_unpin(cx));
        Poll::Ready(message.map(|message| Ok(message?.line)))
    }
}

impl fmt::Debug for ExportLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportLines")
    }
}

impl Client {
    /// Writes explanations and scores out, a line of JSON for each.
    pub async fn export_explanations(&self, request: ExportRequest) -> Result<ExportLines> {
        let lines = self.call(Repeat::Always, request.0, |mut request| async {
            // A timeout of the options is for calls with one answer; this one lasts as long as its reader.
            request.metadata_mut().remove("grpc-timeout");
            stub!(self, explanation_service_client::ExplanationServiceClient)
                .export_explanations(request)
                .await
        });
        Ok(ExportLines(lines.await?))
    }
}
