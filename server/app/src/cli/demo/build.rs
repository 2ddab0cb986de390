//! The demonstration's cache: built once, taken up where an earlier run was stopped, used again afterwards.

use std::time::Instant;

use latentd_client::{BuildCacheRequest, Cache, CacheState, Client, Corpus, CorpusFormat, Sae};

use super::{
    super::{
        format::{bytes, count, duration, short},
        progress,
    },
    Text,
    steps::Steps,
};

/// Shuffles the documents: the first ones of a corpus are all of one kind.
const SEED: u64 = 1;

/// The cache of `tokens` tokens of the text.
pub(super) async fn cache(
    client: &Client,
    sae: &Sae,
    text: &Text,
    tokens: u64,
    steps: &Steps,
) -> anyhow::Result<Cache> {
    let id = format!("demo-{}-{tokens}", text.id.unwrap_or("own"));
    if let Some(cache) = existing(client, &id).await? {
        let fits = cache.saes.iter().any(|cached| cached.digest == sae.digest) && text.id.is_some();
        match cache.state {
            CacheState::Ready if fits => {
                steps.done("cache", &format!("{}, there already", describe(&cache)))?;
                return Ok(cache);
            }
            CacheState::Building => {
                steps.say("going on with the cache that an earlier run began")?;
                return wait(client, &cache.job, steps).await;
            }
            CacheState::Ready | CacheState::Failed | CacheState::Unknown => {
                client.delete_cache(&id).await?;
            }
        }
    }
    let corpus = Corpus::new([&text.folder]).format(CorpusFormat::Text);
    let request = BuildCacheRequest::new(&sae.name, corpus)
        .cache_id(&id)
        .max_tokens(tokens)
        .seed(SEED);
    let job = client.build_cache(request).await?;
    wait(client, &job.name, steps).await
}

/// Sees to it that commands that name no cache find this one: beside other caches of the SAE it is pinned, unless one of them is.
pub(super) async fn choose(
    client: &Client,
    sae: &Sae,
    cache: &Cache,
    steps: &Steps,
) -> anyhow::Result<()> {
    match client.cache_of(&sae.name).await {
        Err(error) if error.reason == "AMBIGUOUS_CACHE" => {
            client.pin_cache(&cache.name, true).await?;
            Ok(steps.say(&format!(
                "Cache {} is pinned: commands that name no cache use it.",
                short(&cache.name)
            ))?)
        }
        found => Ok(found.map(drop)?),
    }
}

async fn existing(client: &Client, id: &str) -> anyhow::Result<Option<Cache>> {
    match client.cache(id).await {
        Ok(cache) => Ok(Some(cache)),
        Err(error) if error.reason == "UNKNOWN_CACHE" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn wait(client: &Client, job: &str, steps: &Steps) -> anyhow::Result<Cache> {
    let start = Instant::now();
    steps.clear();
    let job = progress::watch(client, job, steps.out()).await?;
    let cache = client.cache(&job.result).await?;
    steps.done(
        "cache",
        &format!("{}, in {}", describe(&cache), duration(start.elapsed())),
    )?;
    Ok(cache)
}

fn describe(cache: &Cache) -> String {
    format!(
        "{}: {} tokens, {}",
        short(&cache.name),
        count(cache.tokens),
        bytes(cache.size_bytes)
    )
}
