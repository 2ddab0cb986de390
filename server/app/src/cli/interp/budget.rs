//! What a job may spend.

use clap::Args;
use latentd_client::Budget;

#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Budget (the job pauses when a limit is reached)")]
pub(in crate::cli) struct BudgetArgs {
    /// Most calls to providers
    #[arg(long = "max-calls", value_name = "N")]
    calls: Option<u64>,
    /// Most tokens, of prompts and answers together
    #[arg(long = "max-tokens", value_name = "N")]
    tokens: Option<u64>,
    /// Most US dollars, by the providers' prices
    #[arg(long = "max-dollars", value_name = "X")]
    dollars: Option<f64>,
}

impl BudgetArgs {
    /// The limits, if any is given.
    pub(in crate::cli) fn budget(self) -> Option<Budget> {
        let Self {
            calls,
            tokens,
            dollars,
        } = self;
        if calls.is_none() && tokens.is_none() && dollars.is_none() {
            return None;
        }
        Some(Budget {
            calls: calls.unwrap_or_default(),
            tokens: tokens.unwrap_or_default(),
            dollars: dollars.unwrap_or_default(),
        })
    }
}
