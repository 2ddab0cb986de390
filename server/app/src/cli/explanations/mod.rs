//! `latentd explanations`: explanations of latents, where they come from, and their scores.

mod describe;
mod export;
mod list;
mod texts;

use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use latentd_client::{SearchMode, SearchRequest};

use super::{Session, interp::table};

#[derive(Debug, Subcommand)]
pub(super) enum ExplanationsCommand {
    /// List explanations with their scores, by SAE, latent and time
    List(list::ListArgs),
    /// Describe one explanation: where it comes from, and its scores
    Show {
        /// Its name, or its id alone
        name: String,
    },
    /// Find explanations by their words or their meaning, best first
    Search {
        /// What to search for. A search by words understands "a phrase", or, and -without
        query: String,
        /// Only of this MODEL/SAE
        #[arg(long)]
        sae: Option<String>,
        /// How to search [default: by meaning if a sentence encoder is loaded, else by words]
        #[arg(long, value_enum)]
        by: Option<ByArg>,
        /// Most explanations to show
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Store an explanation that you wrote
    Create {
        /// MODEL/SAE
        sae: String,
        /// Index of the latent
        latent: u32,
        /// The explanation
        text: String,
        /// Who wrote it, in any words
        #[arg(long, default_value = "")]
        author: String,
    },
    /// Delete an explanation with its scores
    Delete {
        /// Its name, or its id alone
        name: String,
    },
    /// Describe one score, with each example that the scorer was shown
    Score {
        /// SCORE, or scores/SCORE
        name: String,
    },
    /// Export explanations and scores as lines of JSON, in the format of another tool
    Export(export::ExportArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ByArg {
    /// Full-text search in English
    Words,
    /// Similarity of sentence embeddings
    Meaning,
}

/// Carries out one of the commands.
pub(super) async fn run(command: ExplanationsCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        ExplanationsCommand::List(args) => list::run(args, &client, out).await?,
        ExplanationsCommand::Show { name } => {
            let explanation = client.explanation(&name).await?;
            out.show(&explanation, |explanation| {
                describe::explanation(explanation, out, SystemTime::now())
            })?;
        }
        ExplanationsCommand::Search {
            query,
            sae,
            by,
            limit,
        } => {
            let request = SearchRequest::new(query)
                .sae(sae.unwrap_or_default())
                .limit(limit)
                .mode(match by {
                    None => SearchMode::Auto,
                    Some(ByArg::Words) => SearchMode::Words,
                    Some(ByArg::Meaning) => SearchMode::Meaning,
                });
            let found = client.search_explanations(request).await?;
            out.list(&found.explanations, |explanations| {
                if explanations.is_empty() {
                    return out.style.dim("nothing was found");
                }
                table::explanations(explanations, out)
            })?;
        }
        ExplanationsCommand::Create {
            sae,
            latent,
            text,
            author,
        } => {
            let explanation = client
                .create_explanation(&sae, latent, &text, &author)
                .await?;
            out.show(&explanation, |explanation| {
                format!("stored {}", explanation.name)
            })?;
        }
        ExplanationsCommand::Delete { name } => {
            client.delete_explanation(&name).await?;
            let reply = serde_json::json!({ "deleted": name });
            out.show(&reply, |_| format!("deleted {name}"))?;
        }
        ExplanationsCommand::Score { name } => {
            let score = client.score_details(&name).await?;
            let texts = texts::of(&score, &client, out).await;
            out.show(&score, |score| {
                describe::score(score, &texts, out, SystemTime::now())
            })?;
        }
        ExplanationsCommand::Export(args) => export::run(args, &client, out).await?,
    }
    Ok(())
}
