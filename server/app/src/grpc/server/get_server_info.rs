//! GetServerInfo: versions, device, limits, and what is supported.

use latentd_domain::{
    SaeArchitecture, Site,
    autointerp::{ExplainerKind, ScorerKind},
};
use latentd_proto::v1 as pb;

use crate::{
    app::{App, Shared},
    config::Limits,
    grpc::{error::Error, layers::Context},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    _: pb::GetServerInfoRequest,
) -> Result<pb::ServerInfo, Error> {
    Ok(pb::ServerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_versions: vec!["latentd.v1".to_owned()],
        device: Some(device(&app)),
        limits: Some(limits(&app)),
        capabilities: Some(capabilities()),
        start_time: Some(app.start_time.into()),
        components: app.health.components(),
        data_folder: app.store.data_folder().unwrap_or_default().to_owned(),
    })
}

fn device(app: &App) -> pb::Device {
    let device = app.engine.device();
    pb::Device {
        name: device.name,
        dtype: device.dtype.as_str().to_owned(),
        threads: device.threads as u32,
        resident_bytes: app.engine.catalog().resident_bytes(),
    }
}

fn limits(app: &App) -> pb::Limits {
    let Limits {
        max_prompts,
        max_tokens,
        max_saes,
        max_top_k,
        max_latents,
        max_examples,
        max_window,
        max_page_size,
        max_message_bytes,
        max_corpus_bytes,
        buffer_bytes: _,
        message_seconds: _,
        max_connections: _,
        handshake_seconds: _,
    } = app.config.limits;
    pb::Limits {
        max_prompts: max_prompts as u32,
        max_tokens: max_tokens as u32,
        max_saes: max_saes as u32,
        max_top_k,
        max_latents: max_latents as u32,
        max_examples: max_examples as u32,
        max_window: max_window as u32,
        max_page_size: max_page_size as u32,
        max_message_bytes: max_message_bytes as u64,
        max_queued: app.config.engine.max_queued as u32,
        batch_tokens: app.config.engine.batch_tokens as u32,
        max_corpus_bytes,
    }
}

fn capabilities() -> pb::Capabilities {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    pb::Capabilities {
        model_families: words(&["llama", "gpt2"]),
        model_formats: words(&["huggingface", "gguf"]),
        sae_architectures: SaeArchitecture::ALL
            .map(|it| it.as_str().to_owned())
            .to_vec(),
        sae_formats: words(&["saelens"]),
        sites: Site::ALL.map(|site| site.as_str().to_owned()).to_vec(),
        corpus_formats: words(&["text", "lines", "jsonl", "parquet", "arrow"]),
        explainers: ExplainerKind::ALL.map(|it| it.as_str().to_owned()).to_vec(),
        scorers: ScorerKind::ALL.map(|it| it.as_str().to_owned()).to_vec(),
        provider_kinds: words(&["openai", "local"]),
        export_forms: words(&["delphi", "neuronpedia"]),
    }
}
