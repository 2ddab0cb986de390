//! Examples on which a latent does not fire, from wherever the plan says.

use std::sync::Arc;

use latentd_autointerp::{
    NonActivating, Shown,
    sample::{self, Silent, Split},
    similar::{Embeddings, nearest_in_turn},
};
use latentd_cache::NeighbourQuery;
use latentd_domain::{
    Example, ExampleMode, ExampleQuery,
    autointerp::{ExampleId, NonActivatingSource},
};
use latentd_engine::{Direction, EmbedWork, Lane};
use tokio::sync::OnceCell;

use super::{encoder, subject::Reader};
use crate::grpc::{blocking, error::Error};

/// Neighbours that are asked for windows.
const NEIGHBOURS: usize = 64;
/// Windows of one neighbour at most, as in delphi.
const PER_NEIGHBOUR: usize = 10;
/// Windows that are searched for similar text.
const POOL: usize = 4096;
/// Strongest examples whose text is searched for, as in delphi.
const QUERIES: usize = 10;
/// Texts that are embedded at once.
const TEXTS: usize = 64;

/// Windows of the cache with their embeddings, made when they are first needed.
#[derive(Default)]
pub(super) struct Pool(OnceCell<Embedded>);

struct Embedded {
    windows: Vec<Example>,
    width: usize,
    values: Vec<f32>,
}

/// Windows on which `latent` does not fire, beside those of `split`.
pub(super) async fn read(
    reader: &Reader,
    latent: u32,
    split: &Split,
    shown: &[ExampleId],
) -> Result<Silent<Shown>, Error> {
    let mut candidates = match reader.plan.non_activating {
        NonActivatingSource::RandomWindows => Vec::new(),
        NonActivatingSource::NeighboursCoOccurrence => {
            let this = reader.clone();
            let neighbours =
                blocking(move || Ok(this.cache.neighbours(&this.sae, latent, NEIGHBOURS)?)).await?;
            of_neighbours(reader, latent, neighbours, shown).await?
        }
        NonActivatingSource::NeighboursEncoder => {
            let neighbours = near(reader, latent, Direction::Encoder).await?;
            of_neighbours(reader, latent, neighbours, shown).await?
        }
        NonActivatingSource::NeighboursDecoder => {
            let neighbours = near(reader, latent, Direction::Decoder).await?;
            of_neighbours(reader, latent, neighbours, shown).await?
        }
        NonActivatingSource::SimilarText => similar(reader, latent, split).await?,
    };
    // What the source cannot give comes from anywhere.
    if candidates.len() < reader.plan.n_non_activating + sample::CONTRAST {
        candidates.extend(anywhere(reader, latent).await?);
    }
    Ok(sample::silent(
        &reader.plan,
        candidates,
        shown,
        |candidate| candidate.id,
    ))
}

async fn anywhere(reader: &Reader, latent: u32) -> Result<Vec<Shown>, Error> {
    let this = reader.clone();
    blocking(move || {
        let query = sample::silent_query(&this.plan);
        let read = this.cache.examples(&this.sae, latent, &query)?;
        let shown = |example| this.shown(example, Some(NonActivating::default()));
        Ok(read.examples.into_iter().map(shown).collect())
    })
    .await
}

async fn near(
    reader: &Reader,
    latent: u32,
    direction: Direction,
) -> Result<Vec<(u32, f32)>, Error> {
    let engine = &reader.app.engine;
    Ok(engine
        .neighbours(&reader.sae, latent, direction, NEIGHBOURS)
        .await?)
}

async fn of_neighbours(
    reader: &Reader,
    latent: u32,
    neighbours: Vec<(u32, f32)>,
    shown: &[ExampleId],
) -> Result<Vec<Shown>, Error> {
    let this = reader.clone();
    let exclude = shown.to_vec();
    blocking(move || {
        let plan = &this.plan;
        let query = NeighbourQuery {
            count: (plan.n_non_activating + sample::CONTRAST) * 5 / 4,
            per_neighbour: PER_NEIGHBOUR,
            window: plan.window,
            centring: plan.centring,
            exclude: &exclude,
        };
        let found = this
            .cache
            .silent_windows_of(&this.sae, latent, &neighbours, &query)?;
        Ok(found
            .into_iter()
            .map(|found| {
                let origin = NonActivating {
                    similarity: Some(found.similarity),
                    neighbour: Some((found.neighbour, found.neighbour_activations)),
                };
                this.shown(found.example, Some(origin))
            })
            .collect())
    })
    .await
}

/// Windows whose text is most like that of the latent's strongest examples.
async fn similar(reader: &Reader, latent: u32, split: &Split) -> Result<Vec<Shown>, Error> {
    let pool = Arc::clone(&reader.pool);
    let embedded = pool.0.get_or_try_init(|| fill(reader)).await?;
    let mut strongest: Vec<&Example> = split.train.iter().chain(&split.test).collect();
    strongest.sort_by(|a, b| b.peak.total_cmp(&a.peak));
    let texts: Vec<String> = strongest
        .into_iter()
        .take(QUERIES)
        .map(|example| text(reader, example))
        .collect();
    let (width, queries) = embed(reader, texts).await?;
    // Reads again the windows that are chosen, for this latent: those on which it fires are not eligible.
    let ids: Vec<ExampleId> = embedded.windows.iter().map(sample::id).collect();
    let this = reader.clone();
    let fires = blocking(move || {
        let windows = this.cache.windows(&this.sae, latent, &ids)?;
        let fires = |window: &Example| window.activations.iter().any(|&value| value > 0.0);
        Ok(windows.iter().map(fires).collect::<Vec<bool>>())
    })
    .await?;
    let chosen = nearest_in_turn(
        Embeddings::new(&queries, width),
        Embeddings::new(&embedded.values, embedded.width),
        (reader.plan.n_non_activating + sample::CONTRAST) * 5 / 4,
        |at| fires.get(at) == Some(&false),
    );
    let shown = chosen.into_iter().filter_map(|chosen| {
        let window = embedded.windows.get(chosen.at)?.clone();
        let origin = NonActivating {
            similarity: Some(chosen.similarity),
            neighbour: None,
        };
        Some(reader.shown(window, Some(origin)))
    });
    Ok(shown.collect())
}

async fn fill(reader: &Reader) -> Result<Embedded, Error> {
    let this = reader.clone();
    let windows = blocking(move || {
        let query = ExampleQuery {
            mode: ExampleMode::NonActivating,
            count: POOL,
            groups: 1,
            window: this.plan.window,
            centring: this.plan.centring,
            seed: this.plan.seed,
        };
        Ok(this.cache.pool(&query, &[])?)
    })
    .await?;
    let texts: Vec<String> = windows.iter().map(|window| text(reader, window)).collect();
    let (width, values) = embed(reader, texts).await?;
    Ok(Embedded {
        windows,
        width,
        values,
    })
}

fn text(reader: &Reader, example: &Example) -> String {
    reader.tokenizer.token_texts(&example.ids).concat()
}

/// The embeddings of `texts`, row after row, and their width.
async fn embed(reader: &Reader, texts: Vec<String>) -> Result<(usize, Vec<f32>), Error> {
    let model = encoder::the_one(&reader.app)?;
    let (mut width, mut values) = (0, Vec::new());
    for texts in texts.chunks(TEXTS) {
        let work = EmbedWork {
            model: model.clone(),
            texts: texts.to_vec(),
            lane: Lane::Bulk,
            deadline: None,
        };
        let embeddings = reader.app.engine.embed(work).await?.embeddings;
        width = embeddings.width;
        values.extend(embeddings.values);
    }
    Ok((width, values))
}
