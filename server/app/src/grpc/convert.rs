//! What the server knows, as the messages that clients see.

use latentd_cache::Cache as OpenCache;
use latentd_domain::{
    Dtype, Example, HookPoint, LatentExamples, LatentStats, ModelInfo, ModelKind, SaeInfo, Scale,
    TokenSequence,
};
use latentd_engine::{Cost, ModelEntry, SaeEntry, Tokenizer};
use latentd_proto::v1 as pb;
use latentd_store::{
    caches::{Cache, CacheState, CachedSae},
    events::JobEvent,
    interp::{ItemReason, KINDS, Spent},
    jobs::{Job, JobState, Progress},
};
use prost_types::Timestamp;
use time::OffsetDateTime;

use super::error::Disclosed;

pub(super) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: time.unix_timestamp(),
        nanos: time.nanosecond() as i32,
    }
}

pub(super) fn dtype(text: &str) -> Option<Dtype> {
    [Dtype::F32, Dtype::Bf16]
        .into_iter()
        .find(|dtype| dtype.as_str() == text)
}

pub(super) fn scale(scale: Scale) -> pb::ActivationScale {
    match scale {
        Scale::Raw => pb::ActivationScale::Raw,
        Scale::DecoderNorm => pb::ActivationScale::DecoderNorm,
    }
}

pub(super) fn model(entry: &ModelEntry) -> pb::Model {
    let info = &entry.info;
    pb::Model {
        name: entry.id.to_string(),
        family: info.family.to_owned(),
        path: info.path.clone(),
        format: info.format.to_owned(),
        digest: info.digest.clone(),
        dtype: info.dtype.as_str().to_owned(),
        n_layers: info.n_layers as u32,
        d_model: info.d_model as u32,
        n_heads: info.n_heads as u32,
        n_kv_heads: info.n_kv_heads as u32,
        d_head: info.d_head as u32,
        d_mlp: info.d_mlp as u32,
        vocab: info.vocab as u32,
        context_length: info.context_length as u32,
        parameters: info.parameters,
        resident_bytes: info.resident_bytes,
        hook_points: hook_points(info),
        bos_token_id: info.bos_token_id,
        eos_token_id: info.eos_token_id,
        tokenizer_digest: info.tokenizer_digest.clone(),
        load_time: Some(entry.loaded_at.into()),
        unused_tensors: info.unused_tensors.clone(),
    }
}

/// The hook points of a model; a sentence encoder has none, as no SAE reads it.
fn hook_points(info: &ModelInfo) -> Vec<String> {
    match info.kind {
        ModelKind::SentenceEncoder => Vec::new(),
        ModelKind::Language => HookPoint::all(info.n_layers)
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// The latents that the self-test found to fire often.
pub(super) fn dense_latents(info: &SaeInfo) -> Vec<pb::LatentDensity> {
    let dense = info.self_test.iter().flat_map(|test| &test.dense);
    dense
        .map(|&(latent, density)| pb::LatentDensity { latent, density })
        .collect()
}

pub(super) fn sae(entry: &SaeEntry) -> pb::Sae {
    let info = &entry.info;
    let self_test = info.self_test.as_ref().map(|test| pb::SelfTest {
        tokens: test.tokens as u32,
        l0: test.l0,
        fvu: test.fvu,
        declared_l0: info.declared_l0,
        warnings: test.warnings.clone(),
        dense_latents: dense_latents(info),
    });
    pb::Sae {
        name: entry.name.to_string(),
        path: info.path.clone(),
        format: info.format.to_owned(),
        architecture: info.architecture.as_str().to_owned(),
        hook_point: info.hook_point.to_string(),
        declared_hook_point: info.declared_hook_point.clone(),
        d_in: info.d_in as u32,
        d_sae: info.d_sae as u32,
        k: info.k.map(|k| k as u32),
        normalize_activations: info.normalisation.as_str().to_owned(),
        apply_b_dec_to_input: info.apply_b_dec_to_input,
        rescale_acts_by_decoder_norm: info.rescale_acts_by_decoder_norm,
        reshape_activations: if info.reshape_hook_z {
            "hook_z"
        } else {
            "none"
        }
        .to_owned(),
        prepend_bos: info.prepend_bos,
        context_length: info.context_length.unwrap_or_default() as u32,
        trained_on_model: info.trained_on_model.clone(),
        digest: info.digest.clone(),
        stored_dtype: info.stored_dtype.to_owned(),
        resident_bytes: info.resident_bytes,
        self_test,
        load_time: Some(entry.loaded_at.into()),
        neuronpedia_id: info.neuronpedia_id.clone().unwrap_or_default(),
    }
}

/// Numbers as bytes, little-endian, as the `packed_` fields hold them.
pub(super) fn bytes_of_u32(values: &[u32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Numbers as bytes, little-endian, as the `packed_` fields hold them.
pub(super) fn bytes_of_f32(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

pub(super) fn token_sequence(tokenizer: &Tokenizer, sequence: TokenSequence) -> pb::TokenSequence {
    let tokens = tokenizer.token_texts(&sequence.ids);
    let TokenSequence {
        ids,
        byte_starts,
        byte_ends,
        special,
    } = sequence;
    pb::TokenSequence {
        ids,
        tokens,
        byte_starts,
        byte_ends,
        special,
    }
}

pub(super) fn cost(cost: Cost) -> pb::Cost {
    pb::Cost {
        queue_micros: cost.queue.as_micros() as u64,
        compute_micros: cost.compute.as_micros() as u64,
        tokens: cost.tokens as u32,
        batch_tokens: cost.batch_tokens as u32,
        batch_requests: cost.batch_requests as u32,
    }
}

pub(super) fn job_state(state: JobState) -> pb::JobState {
    match state {
        JobState::Queued => pb::JobState::Queued,
        JobState::Running => pb::JobState::Running,
        JobState::Paused => pb::JobState::Paused,
        JobState::Succeeded => pb::JobState::Succeeded,
        JobState::Failed => pb::JobState::Failed,
        JobState::Cancelled => pb::JobState::Cancelled,
    }
}

pub(super) fn job(job: Job) -> pb::Job {
    let Progress {
        phase,
        unit,
        done,
        total,
        rate,
        eta_seconds,
        failed,
        skipped,
        spent: cost,
        reasons,
        warnings,
    } = job.progress;
    let cache = if KINDS.contains(&job.kind.as_str()) {
        job.cache
    } else {
        String::new()
    };
    pb::Job {
        name: job.id.to_string(),
        kind: job.kind,
        state: job_state(job.state).into(),
        result: job.result,
        progress: Some(pb::Progress {
            phase,
            unit,
            done,
            total,
            rate,
            eta_seconds,
            failed,
            skipped,
            spent: cost.map(spent),
            reasons: reasons.into_iter().map(item_reason).collect(),
            warnings,
        }),
        error: job
            .error
            .map(|failure| Disclosed::from(failure).into_proto()),
        create_time: Some(timestamp(job.create_time)),
        start_time: job.start_time.map(timestamp),
        end_time: job.end_time.map(timestamp),
        attempts: job.attempts,
        spec_json: if job.spec.is_null() {
            String::new()
        } else {
            job.spec.to_string()
        },
        cancel_requested: job.cancel_requested,
        pause_reason: job
            .pause_reason
            .map_or("", |reason| reason.as_str())
            .to_owned(),
        cache,
        in_part: job.state == JobState::Succeeded && failed > 0,
    }
}

pub(super) fn item_reason(reason: ItemReason) -> pb::ItemReason {
    pb::ItemReason {
        reason: reason.reason.as_str().to_owned(),
        failed: reason.failed,
        items: reason.items,
        detail: reason.detail,
        latents: reason.latents,
    }
}

pub(super) fn spent(spent: Spent) -> pb::Spent {
    pb::Spent {
        calls: spent.calls,
        reused: spent.reused,
        prompt_tokens: spent.prompt_tokens,
        completion_tokens: spent.completion_tokens,
        dollars: dollars(spent.micros),
    }
}

/// Dollars from millionths of them.
pub(super) fn dollars(micros: i64) -> f64 {
    micros as f64 / 1e6
}

pub(super) fn job_event(event: JobEvent) -> pb::JobEvent {
    pb::JobEvent {
        event_id: event.event_id,
        time: Some(timestamp(event.time)),
        job: Some(job(event.job)),
    }
}

pub(super) fn cache(cache: Cache) -> pb::Cache {
    let state = match cache.state {
        CacheState::Building => pb::CacheState::Building,
        CacheState::Ready => pb::CacheState::Ready,
        CacheState::Failed => pb::CacheState::Failed,
    };
    let named_only = |sae: &latentd_domain::SaeName| pb::CachedSae {
        sae: sae.to_string(),
        ..pb::CachedSae::default()
    };
    let totals = cache.totals;
    let saes = if totals.saes.is_empty() {
        cache.spec.saes.iter().map(named_only).collect()
    } else {
        totals.saes.into_iter().map(cached_sae).collect()
    };
    pb::Cache {
        name: cache.id.to_string(),
        state: state.into(),
        model: cache.model.to_string(),
        saes,
        tokens: totals.tokens,
        rows: totals.rows,
        documents: totals.documents,
        context_length: cache.spec.context_length as u32,
        size_bytes: totals.size_bytes,
        manifest_digest: totals.manifest_digest,
        job: cache.job.to_string(),
        create_time: Some(timestamp(cache.create_time)),
        seed: cache.spec.seed,
        model_digest: totals.model_digest,
        pinned: cache.pinned,
        data_folder: cache.data_folder.unwrap_or_default(),
    }
}

fn cached_sae(sae: CachedSae) -> pb::CachedSae {
    pb::CachedSae {
        sae: sae.sae.to_string(),
        hook_point: sae.hook_point.to_string(),
        d_sae: sae.d_sae,
        digest: sae.digest,
        activations: sae.activations,
        firing_latents: sae.firing_latents,
        above_range: sae.above_range,
        below_range: sae.below_range,
    }
}

/// Examples of one latent; with a tokenizer, the text of each token too.
pub(super) fn latent_examples(
    tokenizer: Option<&Tokenizer>,
    examples: LatentExamples,
) -> pb::LatentExamples {
    let LatentExamples {
        latent,
        firing_tokens,
        density,
        max_activation,
        examples,
    } = examples;
    let examples = examples
        .into_iter()
        .map(|window| example(tokenizer, window))
        .collect();
    pb::LatentExamples {
        latent,
        firing_tokens,
        density,
        max_activation: (firing_tokens > 0).then_some(max_activation),
        examples,
    }
}

fn example(tokenizer: Option<&Tokenizer>, example: Example) -> pb::Example {
    let tokens = tokenizer.map(|tokenizer| tokenizer.token_texts(&example.ids));
    pb::Example {
        document: example.document,
        row: example.row,
        start: example.start,
        ids: example.ids,
        tokens: tokens.unwrap_or_default(),
        activations: example.activations,
        peak: example.peak,
        peak_index: example.peak_index,
        quantile: example.quantile,
        bin_min: example.bin.map(|(min, _)| min),
        bin_max: example.bin.map(|(_, max)| max),
    }
}

pub(super) fn latent_stats(stats: LatentStats, omit_histogram: bool) -> pb::LatentStats {
    pb::LatentStats {
        latent: stats.latent,
        count: stats.count,
        density: stats.density,
        max: stats.max,
        mean: stats.mean,
        mean_square: stats.mean_square,
        histogram: if omit_histogram {
            Vec::new()
        } else {
            stats.histogram
        },
    }
}

/// Number of latents of an SAE in a cache.
pub(super) fn cached_d_sae(cache: &OpenCache, sae: &latentd_domain::SaeName) -> Option<u32> {
    cache
        .manifest()
        .saes
        .iter()
        .find(|record| record.name == *sae)
        .map(|record| record.d_sae)
}
