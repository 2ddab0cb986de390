//! `latentd corpus`: corpora that were uploaded to the server.

use std::time::SystemTime;

use clap::Subcommand;
use latentd_client::UploadedCorpus;

use super::{
    Session,
    format::{bytes, left, short},
    output::Output,
    table::Table,
};

#[derive(Debug, Subcommand)]
pub(super) enum CorpusCommand {
    /// List uploaded corpora
    List,
    /// Delete one that no job has to read any more
    Delete {
        /// CORPUS, or corpora/CORPUS
        name: String,
    },
}

/// Carries out one of the commands.
pub(super) async fn run(command: CorpusCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        CorpusCommand::List => {
            let corpora = client.corpora().to_vec().await?;
            out.list(&corpora, |corpora| list(corpora, out, SystemTime::now()))?;
        }
        CorpusCommand::Delete { name } => {
            let freed = client.delete_corpus(&name).await?;
            let reply = serde_json::json!({ "freed_bytes": freed });
            out.show(&reply, |_| {
                format!("deleted {name}: {} freed", bytes(freed))
            })?;
        }
    }
    Ok(())
}

fn list(corpora: &[UploadedCorpus], out: &Output, now: SystemTime) -> String {
    if corpora.is_empty() {
        let hint = "no uploaded corpora; `latentd cache build --upload` uploads one";
        return out.style.dim(hint);
    }
    let mut table = Table::new(["corpus", ">size", ">expires in"]);
    for corpus in corpora {
        table.row([
            short(&corpus.name),
            bytes(corpus.size_bytes),
            left(corpus.expires, now),
        ]);
    }
    table.render(out.style, out.width)
}
