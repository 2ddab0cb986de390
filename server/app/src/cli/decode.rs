//! `latentd decode`: latents back into vectors at the hook point.

use clap::Args;
use latentd_client::{DecodeRequest, SparseRows};

use super::{Session, failure::Usage, table::Table};

/// Values of a vector that are shown to people.
const SHOWN: usize = 8;

#[derive(Args, Debug)]
pub(super) struct DecodeArgs {
    /// Rows: LATENT:ACTIVATION,LATENT:ACTIVATION,…
    #[arg(required = true)]
    rows: Vec<String>,
    /// MODEL/SAE
    #[arg(long)]
    sae: String,
}

/// Decodes and shows.
pub(super) async fn run(args: DecodeArgs, session: &Session) -> anyhow::Result<()> {
    let rows = parse(&args.rows).map_err(Usage)?;
    let dense = session
        .client()
        .await?
        .decode(DecodeRequest::new(args.sae, rows))
        .await?;
    session.out.show(&dense, |dense| {
        let mut table = Table::new([">row", ">norm", "values"]);
        for row in 0..dense.rows {
            let values = dense.row(row);
            let norm = values
                .iter()
                .map(|value| f64::from(*value).powi(2))
                .sum::<f64>()
                .sqrt();
            let first: Vec<String> = values
                .iter()
                .take(SHOWN)
                .map(|value| format!("{value:.4}"))
                .collect();
            let more = if values.len() > SHOWN { " …" } else { "" };
            table.row([
                row.to_string(),
                format!("{norm:.4}"),
                format!("{}{more}", first.join(" ")),
            ]);
        }
        table.render(session.out.style, session.out.width)
    })?;
    Ok(())
}

fn parse(rows: &[String]) -> Result<SparseRows, String> {
    let mut parsed = SparseRows::new();
    for row in rows {
        let entries: Result<Vec<(u32, f32)>, String> = row.split(',').map(entry).collect();
        parsed.push_row(entries?);
    }
    Ok(parsed)
}

fn entry(text: &str) -> Result<(u32, f32), String> {
    let pair = text.split_once(':').and_then(|(latent, activation)| {
        Some((latent.trim().parse().ok()?, activation.trim().parse().ok()?))
    });
    pair.ok_or_else(|| format!("`{text}` is not of the form LATENT:ACTIVATION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let rows = parse(&["1:0.5,7:2".to_owned(), "3:1".to_owned()]).unwrap();
        assert_eq!(rows.row_offsets, [0, 2, 3]);
        assert_eq!(rows.row(0).collect::<Vec<_>>(), [(1, 0.5), (7, 2.0)]);
        assert!(parse(&["1".to_owned()]).is_err() && parse(&["a:1".to_owned()]).is_err());
    }
}
