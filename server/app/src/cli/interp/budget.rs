//! What a job may spend.

use clap::Args;
use latentd_client::Budget;

#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Budget (the job pauses when any of it is spent)")]
pub(in crate::cli) struct BudgetArgs {
    /// Calls of providers
    #[arg(long, value_name = "N")]
    max_calls: Option<u64>,
    /// Tokens of prompts and answers together
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// US dollars, by the providers' prices
    #[arg(long, value_name = "X")]
    max_dollars: Option<f64>,
}

impl BudgetArgs {
    /// The limits, if any is given.
    pub(in crate::cli) fn budget(self) -> Option<Budget> {
        let Self {
            max_calls,
            max_tokens,
            max_dollars,
        } = self;
        if max_calls.is_none() && max_tokens.is_none() && max_dollars.is_none() {
            return None;
        }
        Some(Budget {
            calls: max_calls.unwrap_or_default(),
            tokens: max_tokens.unwrap_or_default(),
            dollars: max_dollars.unwrap_or_default(),
        })
    }
}
