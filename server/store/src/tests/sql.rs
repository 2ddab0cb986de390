//! The database as people see it with psql: comments, views, statistics.

use latentd_domain::{CacheId, JobId, LatentStats, autointerp::ScorerKind};

use super::{
    caches::there_is,
    interp::{claim, ended, explained, explanation, failed, running, score, spec},
};
use crate::{Store, interp::Outcome, leases::Owner, test_support};

#[tokio::test]
async fn every_table_view_and_column_has_a_comment() {
    let store = test_support::database().await.store;
    let without: Vec<String> = sqlx::query_scalar(
        "select c.relname || coalesce('.' || a.attname, '') from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and c.relname <> '_sqlx_migrations'
           and (obj_description(c.oid, 'pg_class') is null or col_description(c.oid, a.attnum) is null)
         order by 1",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(
        without,
        Vec::<String>::new(),
        "comment on them in their migration"
    );
}

fn stats(latent: u32, count: u64) -> LatentStats {
    LatentStats {
        latent,
        count,
        density: count as f64 / 100.0,
        max: (count > 0).then_some(1.5),
        mean: (count > 0).then_some(0.5),
        mean_square: (count > 0).then_some(0.25),
        histogram: Vec::new(),
    }
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(store.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn statistics_come_with_a_cache_and_go_with_it() {
    let store = test_support::database().await.store;
    let (cache, sae): (CacheId, _) = ("brown".parse().unwrap(), "gpt2/l0".parse().unwrap());
    let all = [stats(0, 7), stats(1, 0)];
    let late: JobId = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let put = |job: JobId| {
        let (store, cache, sae, all) = (&store, &cache, &sae, &all);
        async move { store.caches().put_stats((cache, &job), sae, all).await }
    };
    let missing = put(late.clone()).await;
    assert!(matches!(missing, Err(crate::Error::UnknownCache(_))));
    there_is(&store, "brown").await;
    let job = store.caches().get(&cache).await.unwrap().job;
    // A builder of an earlier cache of the same name, which comes late.
    assert!(matches!(
        put(late).await,
        Err(crate::Error::UnknownCache(_))
    ));
    for _ in 0..2 {
        put(job.clone()).await.unwrap();
    }
    let density: Vec<f64> = sqlx::query_scalar(
        "select density from latent_stat where cache_id = 'brown' order by latent",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(density, [0.07, 0.0], "those that never fire, too");
    let mean: Vec<Option<f64>> = sqlx::query_scalar(
        "select mean_activation from latent_stat where cache_id = 'brown' order by latent",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(mean, [Some(0.5), None], "a mean of nothing is not 0");
    let deleted = store.caches().start_delete(&cache).await.unwrap();
    store
        .caches()
        .finish_delete(&cache, &deleted.job)
        .await
        .unwrap();
    assert_eq!(number(&store, "select count(*) from latent_stat").await, 0);
}

#[tokio::test]
async fn views_say_in_words_what_tables_say_in_numbers() {
    let store = test_support::database().await.store;
    let spec = spec(2, &[ScorerKind::Detection]);
    let lease = running(&store, &spec).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    let sae = "gpt2/l0".parse().unwrap();
    let all = [stats(0, 7), stats(1, 0)];
    let built = store.caches().get(&spec.cache).await.unwrap().job;
    store
        .caches()
        .put_stats((&spec.cache, &built), &sae, &all)
        .await
        .unwrap();
    let items = claim(&store, owner, 9).await;
    let made = explanation(job, 0, "numbers");
    let done = [
        explained(&items[0], vec![made.clone()]),
        ended(&items[1], failed()),
    ];
    store.interp().complete(&done, owner).await.unwrap();
    let items = claim(&store, owner, 9).await;
    let scores = vec![score(&made, ScorerKind::Detection, "++-?")];
    let done = [ended(&items[0], Outcome::Scored { scores })];
    store.interp().complete(&done, owner).await.unwrap();

    let scored: Vec<(i32, String, f64, f64)> =
        sqlx::query_as("select latent, explanation, value, density from latent_score")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(scored, [(0, "numbers".to_owned(), 0.75, 0.07)]);
    let items: Vec<(i32, String, String)> =
        sqlx::query_as("select latent, work, state from job_item order by ord")
            .fetch_all(store.pool())
            .await
            .unwrap();
    let items: Vec<_> = items
        .iter()
        .map(|(latent, work, state)| (*latent, work.as_str(), state.as_str()))
        .collect();
    assert_eq!(
        items,
        [
            (0, "default", "done"),
            (0, "detection", "done"),
            (1, "default", "failed"),
            (1, "detection", "skipped")
        ]
    );
    let cost: Vec<(String, i64, i64, bool)> = sqlx::query_as(
        "select state, items_done, items_failed, seconds >= 0 from job_cost where kind = 'explain_latents'",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(cost, [("running".to_owned(), 4, 1, true)]);
    assert_eq!(
        number(&store, "select count(*) from provider_call").await,
        0
    );
}
