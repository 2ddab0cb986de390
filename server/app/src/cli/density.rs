//! Latents that fire on almost every token: they would head every table and tell little, so tables hide them and say so.

use clap::Args;
use latentd_client::MAX_DENSITY;

use super::{format::plural, output::Output, table::wrapped};

#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct DensityArgs {
    /// Hide latents that fire on a larger share of tokens; 1 shows all [default: 0.1, unless --json or latents are given]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_density: Option<f64>,
}

impl DensityArgs {
    /// The limit; `by_default` says whether there is one that nobody asked for.
    pub(super) fn limit(self, by_default: bool) -> f64 {
        let default = if by_default { MAX_DENSITY } else { 1.0 };
        self.max_density.unwrap_or(default)
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1, such as 0.1".to_owned()),
    }
}

/// `1 latent that fires on more than 10 % of tokens is hidden (show it: --max-density 1)`; nothing if none is.
pub(super) fn hidden(latents: usize, limit: f64, out: &Output) -> Option<String> {
    let (verbs, them) = match latents {
        0 => return None,
        1 => (("fires", "is"), "it"),
        _ => (("fire", "are"), "them"),
    };
    let text = format!(
        "{} that {} on more than {} of tokens {} hidden (show {them}: --max-density 1)",
        plural(latents as u64, "latent"),
        verbs.0,
        share_in_percent(limit),
        verbs.1,
    );
    Some(out.style.dim(&wrapped(&text, out.width).join("\n")))
}

/// `10 %`, `0.5 %`: as few digits as it takes.
pub(super) fn share_in_percent(share: f64) -> String {
    let digits = format!("{:.3}", share * 100.0);
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_said() {
        let mut out = Output::plain(100);
        assert_eq!(hidden(0, 0.1, &out), None);
        assert_eq!(
            hidden(1, 0.1, &out).unwrap(),
            "1 latent that fires on more than 10 % of tokens is hidden (show it: --max-density 1)"
        );
        assert_eq!(
            hidden(12, 0.005, &out).unwrap(),
            "12 latents that fire on more than 0.5 % of tokens are hidden (show them: --max-density 1)"
        );
        out.width = 80;
        let lines = hidden(12, 0.1, &out).unwrap();
        assert!(lines.lines().all(|line| line.len() <= 80), "{lines}");
        assert!(share("1.5").is_err() && share("NaN").is_err());
    }
}
