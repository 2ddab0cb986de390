//! `latentd provider`: the language models that explain and score, and how they are reached.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use latentd_client::{
    CreateProviderRequest, Provider, ProviderCapabilities, ProviderKind, ProviderLimits,
    ProviderPrices,
};

use super::{
    Session,
    format::{ago, count, dollars, short},
    output::Output,
    table::{Table, pairs},
};

/// What `provider add` looks like.
const EXAMPLES: &str = "\
Examples:
  latentd provider add openrouter --url https://openrouter.ai/api/v1 --model MODEL --key env:OPENROUTER_API_KEY
  latentd provider add vllm --url http://localhost:8000/v1 --model MODEL
  latentd provider add here --local smollm2-135m";

#[derive(Debug, Subcommand)]
pub(super) enum ProviderCommand {
    /// Register a provider, or replace the one with that name, and find out what it can do
    ///
    /// A provider is an OpenAI-compatible endpoint (vLLM, OpenRouter, llama.cpp, Ollama and others), or a model that is loaded in
    /// the server.
    #[command(after_long_help = EXAMPLES)]
    Add(AddArgs),
    /// List providers
    List,
    /// Describe one
    Get {
        /// PROVIDER, or providers/PROVIDER
        name: String,
    },
    /// Find out again what a provider can do
    Probe {
        /// PROVIDER, or providers/PROVIDER
        name: String,
    },
    /// Delete a provider; its stored answers are kept
    Delete {
        /// PROVIDER, or providers/PROVIDER
        name: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// Name of the provider: lower-case letters, digits, `-`, `_` and `.`
    name: String,
    /// Base URL of an endpoint, such as https://openrouter.ai/api/v1
    #[arg(
        long,
        required_unless_present = "local",
        conflicts_with = "local",
        requires = "model"
    )]
    url: Option<String>,
    /// What the endpoint calls the model
    #[arg(long, requires = "url", conflicts_with = "local")]
    model: Option<String>,
    /// Where the server finds the API key: env:NAME for an environment variable of the server, or file:/PATH. The key itself is
    /// never sent to the server
    #[arg(
        long,
        value_name = "SOURCE",
        requires = "url",
        conflicts_with = "local"
    )]
    key: Option<String>,
    /// A model that is loaded in the server, instead of an endpoint
    #[arg(long, value_name = "MODEL")]
    local: Option<String>,
    /// Most calls at the same time [default: 64; 8 for a local model]
    #[arg(long, value_name = "N")]
    max_in_flight: Option<u32>,
    /// Most calls a minute [default: no limit]
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// Most tokens a minute, prompts and answers together [default: no limit]
    #[arg(long, value_name = "N")]
    tokens_per_minute: Option<u64>,
    /// Seconds that one call may take [default: 600]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Longest answer of one call, in tokens, thinking included, where a job does not say [default: 4096, of a local model 512]
    #[arg(long, value_name = "N")]
    max_answer_tokens: Option<u32>,
    /// Price of prompt tokens, in US dollars a million
    #[arg(long, value_name = "DOLLARS", default_value_t = 0.0)]
    prompt_price: f64,
    /// Price of answer tokens, in US dollars a million
    #[arg(long, value_name = "DOLLARS", default_value_t = 0.0)]
    completion_price: f64,
    /// Do not call the provider now; `latentd provider probe` does it later
    #[arg(long)]
    skip_probe: bool,
}

/// Carries out one of the commands.
pub(super) async fn run(command: ProviderCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    let show = |provider: &Provider| describe(provider, out, SystemTime::now());
    match command {
        ProviderCommand::Add(args) => {
            let provider = client.create_provider(request(args)).await?;
            out.show(&provider, show)?;
        }
        ProviderCommand::List => {
            let providers = client.providers().to_vec().await?;
            out.list(&providers, |providers| list(providers, out))?;
        }
        ProviderCommand::Get { name } => {
            let provider = client.provider(&name).await?;
            out.show(&provider, show)?;
        }
        ProviderCommand::Probe { name } => {
            let provider = client.probe_provider(&name).await?;
            out.show(&provider, show)?;
        }
        ProviderCommand::Delete { name } => {
            client.delete_provider(&name).await?;
            let reply = serde_json::json!({ "deleted": name });
            out.show(&reply, |_| format!("deleted {name}"))?;
        }
    }
    Ok(())
}

fn request(args: AddArgs) -> CreateProviderRequest {
    let request = match args.local {
        Some(model) => CreateProviderRequest::local(args.name, model),
        None => CreateProviderRequest::openai(
            args.name,
            args.url.unwrap_or_default(),
            args.model.unwrap_or_default(),
        ),
    };
    let request = request
        .key_source(args.key.unwrap_or_default())
        .limits(ProviderLimits {
            max_in_flight: args.max_in_flight.unwrap_or_default(),
            requests_per_minute: args.requests_per_minute.unwrap_or_default(),
            tokens_per_minute: args.tokens_per_minute.unwrap_or_default(),
            timeout_seconds: args.timeout.unwrap_or_default(),
            max_tokens: args.max_answer_tokens.unwrap_or_default(),
        })
        .prices(ProviderPrices {
            prompt_per_million: args.prompt_price,
            completion_per_million: args.completion_price,
        });
    if args.skip_probe {
        request.skip_probe()
    } else {
        request
    }
}

fn list(providers: &[Provider], out: &Output) -> String {
    if providers.is_empty() {
        return out
            .style
            .dim("no providers; `latentd provider add` registers one");
    }
    let mut table = Table::new([
        "provider",
        "where",
        "?model",
        "?can",
        "?>at once",
        "?prices",
    ]);
    for provider in providers {
        table.row([
            short(&provider.name),
            place(provider),
            provider.model.clone(),
            can(&provider.capabilities),
            provider.limits.max_in_flight.to_string(),
            prices(provider.prices),
        ]);
    }
    table.render(out.style, out.width)
}

fn place(provider: &Provider) -> String {
    match provider.kind {
        ProviderKind::Openai => provider.base_url.clone(),
        ProviderKind::Local => "this server".to_owned(),
        ProviderKind::Unknown => "unknown".to_owned(),
    }
}

/// What it can do, in the words of scorers' needs.
fn can(capabilities: &ProviderCapabilities) -> String {
    let can = [
        (true, "text"),
        (capabilities.json_schema, "JSON by schema"),
        (capabilities.chat_logprobs, "logprobs"),
        (capabilities.prompt_logprobs, "prompt logprobs"),
    ];
    let can: Vec<&str> = can
        .into_iter()
        .filter_map(|(can, what)| can.then_some(what))
        .collect();
    can.join(", ")
}

/// `$0.50 and $1.50 a million`; nothing without prices.
fn prices(prices: ProviderPrices) -> String {
    if prices == ProviderPrices::default() {
        return String::new();
    }
    format!(
        "{} and {} a million",
        dollars(prices.prompt_per_million),
        dollars(prices.completion_per_million)
    )
}

fn describe(provider: &Provider, out: &Output, now: SystemTime) -> String {
    let limits = &provider.limits;
    let mut bounds = vec![format!("{} calls at once", limits.max_in_flight)];
    if limits.requests_per_minute > 0 {
        bounds.push(format!(
            "{} calls a minute",
            count(limits.requests_per_minute.into())
        ));
    }
    if limits.tokens_per_minute > 0 {
        bounds.push(format!(
            "{} tokens a minute",
            count(limits.tokens_per_minute)
        ));
    }
    bounds.push(format!("{} s a call", limits.timeout_seconds));
    bounds.push(format!(
        "{} tokens an answer",
        count(limits.max_tokens.into())
    ));
    let context = match provider.capabilities.context_length {
        0 => "not known".to_owned(),
        tokens => format!("{} tokens", count(tokens.into())),
    };
    let probed = match provider.probed {
        None => "never; `latentd provider probe` finds out what it can do".to_owned(),
        time => ago(time, now),
    };
    let mut rows = vec![
        ("provider", out.style.bold(&short(&provider.name))),
        ("where", place(provider)),
        ("model", provider.model.clone()),
        ("can", can(&provider.capabilities)),
        ("context", context),
        ("limits", bounds.join(", ")),
        ("created", ago(provider.created, now)),
        ("probed", probed),
    ];
    for (name, value) in [
        ("key", provider.key_source.clone()),
        ("prices", prices(provider.prices)),
        ("not sent", provider.capabilities.refused.join(", ")),
    ] {
        if !value.is_empty() {
            rows.push((name, value));
        }
    }
    pairs(rows, out)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AddArgs,
    }

    fn read(line: &str) -> Result<String, clap::Error> {
        let words = ["add"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).map(|line| format!("{:?}", request(line.args)))
    }

    #[test]
    fn an_endpoint_or_a_model_of_the_server_but_not_both() {
        let endpoint =
            read("p --url http://h/v1 --model m --key env:KEY --prompt-price 0.5").unwrap();
        for part in [
            "kind: Openai",
            "base_url: \"http://h/v1\"",
            "key_source: \"env:KEY\"",
            "prompt_per_million: 0.5",
            "skip_probe: false",
        ] {
            assert!(endpoint.contains(part), "no {part} in {endpoint}");
        }
        let local = read("p --local smollm2-135m --skip-probe").unwrap();
        assert!(local.contains("kind: Local") && local.contains("skip_probe: true"));
        for bad in [
            "p",
            "p --url http://h/v1",
            "p --local m --url http://h/v1 --model m",
            "p --local m --model m",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_provider_is_described() {
        let provider = Provider {
            name: "providers/p".into(),
            kind: ProviderKind::Openai,
            base_url: "http://h/v1".into(),
            model: "m".into(),
            key_source: "env:KEY".into(),
            limits: ProviderLimits {
                max_in_flight: 64,
                requests_per_minute: 0,
                tokens_per_minute: 100_000,
                timeout_seconds: 120,
                max_tokens: 4096,
            },
            prices: ProviderPrices {
                prompt_per_million: 0.5,
                completion_per_million: 1.5,
            },
            capabilities: ProviderCapabilities {
                prompt_logprobs: true,
                context_length: 8192,
                refused: vec!["system".into(), "seed".into()],
                ..ProviderCapabilities::default()
            },
            created: None,
            probed: None,
        };
        assert_eq!(
            describe(&provider, &Output::plain(100), SystemTime::UNIX_EPOCH),
            "\
provider  p
where     http://h/v1
model     m
can       text, prompt logprobs
context   8 192 tokens
limits    64 calls at once, 100 000 tokens a minute, 120 s a call, 4 096 tokens an answer
created   -
probed    never; `latentd provider probe` finds out what it can do
key       env:KEY
prices    $0.50 and $1.50 a million
not sent  system, seed
"
        );
    }
}
