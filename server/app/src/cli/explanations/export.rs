//! `latentd explanations export`: lines of JSON for other tools, on the standard output.

use clap::{Args, ValueEnum};
use futures::TryStreamExt as _;
use latentd_client::{Client, ExportForm, ExportRequest};

use super::super::output::Output;

#[derive(Args, Debug)]
pub(in crate::cli) struct ExportArgs {
    /// Only of this MODEL/SAE
    sae: Option<String>,
    /// Only of this job
    #[arg(long)]
    job: Option<String>,
    /// Format of the lines
    #[arg(long, value_enum, default_value_t)]
    form: FormArg,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormArg {
    /// An object for each explanation, and for each score the list that delphi's file of its scorer holds
    #[default]
    Delphi,
    /// Rows of Neuronpedia's tables of explanations and of their scores
    Neuronpedia,
}

/// Prints the lines as they come.
pub(super) async fn run(args: ExportArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let form = match args.form {
        FormArg::Delphi => ExportForm::Delphi,
        FormArg::Neuronpedia => ExportForm::Neuronpedia,
    };
    let request = ExportRequest::new(form)
        .sae(args.sae.unwrap_or_default())
        .job(args.job.unwrap_or_default());
    let mut lines = client.export_explanations(request).await?;
    while let Some(line) = lines.try_next().await? {
        out.line(line)?;
    }
    Ok(())
}
