//! `latentd info`: what the server is, what it runs on, what it accepts.

use std::time::SystemTime;

use latentd_client::ServerInfo;

use super::{
    Session,
    format::{ago, bytes, count},
    output::Output,
    table::pairs,
};

/// Describes the server.
pub(super) async fn run(session: &Session) -> anyhow::Result<()> {
    let info = session.client().await?.server_info().await?;
    Ok(session.out.show(&info, |info| {
        describe(info, &session.out, SystemTime::now())
    })?)
}

fn describe(info: &ServerInfo, out: &Output, now: SystemTime) -> String {
    let style = out.style;
    let device = match info.device.threads {
        0 => info.device.name.clone(),
        threads => format!("{}, {threads} threads", info.device.name),
    };
    let limits = &info.limits;
    let can = &info.capabilities;
    let mut rows = vec![
        (
            "version",
            format!("{} ({})", info.version, info.api_versions.join(", ")),
        ),
        ("started", ago(info.started, now)),
        ("device", format!("{device}, {}", info.device.dtype)),
        ("resident", bytes(info.device.resident_bytes)),
        (
            "models",
            format!(
                "{} from {}",
                can.model_families.join(", "),
                can.model_formats.join(", ")
            ),
        ),
        (
            "SAEs",
            format!(
                "{} from {}",
                can.sae_architectures.join(", "),
                can.sae_formats.join(", ")
            ),
        ),
        ("corpora", can.corpus_formats.join(", ")),
        ("sites", can.sites.join(", ")),
        ("explainers", can.explainers.join(", ")),
        ("scorers", can.scorers.join(", ")),
        (
            "encode",
            format!(
                "up to {} prompts, {} tokens, {} SAEs, top_k {}",
                count(limits.max_prompts.into()),
                count(limits.max_tokens.into()),
                limits.max_saes,
                count(limits.max_top_k.into())
            ),
        ),
        (
            "examples",
            format!(
                "up to {} latents, {} examples of {} tokens",
                count(limits.max_latents.into()),
                count(limits.max_examples.into()),
                count(limits.max_window.into())
            ),
        ),
        (
            "queue",
            format!(
                "{} requests, {} tokens a pass",
                count(limits.max_queued.into()),
                count(limits.batch_tokens.into())
            ),
        ),
        ("message", bytes(limits.max_message_bytes)),
        ("upload", bytes(limits.max_corpus_bytes)),
    ];
    rows.extend(info.components.iter().map(|part| {
        let state = if part.serving {
            style.good("serving")
        } else {
            style.bad("not serving")
        };
        let detail = if part.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", part.detail)
        };
        (part.component.as_str(), format!("{state}{detail}"))
    }));
    pairs(rows, out)
}
