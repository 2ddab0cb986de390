//! Caches: made with their job, ready with its end, deleted in two steps.

use std::time::Duration;

use latentd_domain::{
    ActivationDtype, BuildCacheSpec, CacheId, Corpus, CorpusFormat, HasReason, ModelId, Reason,
    SpecialTokens,
};

use super::{LEASE, claim, interp, new_job};
use crate::{
    Error, Store,
    caches::{CacheShard, CacheState, CacheTotals, CachedSae},
    jobs::{Job, JobState, Submitted},
    leases::{Outcome, Owner},
    page::Page,
    test_support,
    work_items::{Scope, WorkResult},
};

fn spec(id: &str) -> BuildCacheSpec {
    BuildCacheSpec {
        cache: id.parse().unwrap(),
        saes: vec!["gpt2/l0".parse().unwrap(), "gpt2/l1".parse().unwrap()],
        corpus: Corpus {
            paths: vec!["/text".into()],
            format: CorpusFormat::Auto,
            text_field: "text".into(),
            uploaded: None,
        },
        context_length: 256,
        max_tokens: None,
        seed: u64::MAX,
        prepend_bos: true,
        special_tokens: SpecialTokens::default(),
        activation_dtype: ActivationDtype::F16,
    }
}

fn model() -> ModelId {
    "gpt2".parse().unwrap()
}

fn totals() -> CacheTotals {
    let sae = CachedSae {
        sae: "gpt2/l0".parse().unwrap(),
        hook_point: "blocks.0.hook_resid_post".parse().unwrap(),
        d_sae: 64,
        digest: "s".into(),
        activations: u64::from(u32::MAX) + 7,
        firing_latents: 60,
        above_range: 3,
        below_range: 0,
    };
    CacheTotals {
        place: "job-1".to_owned(),
        model_digest: "m".into(),
        manifest_digest: "x".into(),
        tokens: 1 << 40,
        rows: 9,
        documents: 4,
        size_bytes: 1 << 41,
        saes: vec![sae],
    }
}

/// Sees to it that there is a ready cache, for tests that need one and do not care how it was made.
pub(super) async fn there_is(store: &Store, id: &str) {
    if store.caches().get(&id.parse().unwrap()).await.is_err() {
        let mut job = new_job(None);
        job.kind = "build_for_a_test".into();
        let spec = spec(id);
        let submitted = store.caches().submit(&spec, &model(), &job).await.unwrap();
        let job = submitted.into_job().id;
        sqlx::query("update cache set state = 'ready' where id = $1")
            .bind(id)
            .execute(store.pool())
            .await
            .unwrap();
        sqlx::query("update job set state = 'succeeded', end_time = now() where id = $1")
            .bind(job.id())
            .execute(store.pool())
            .await
            .unwrap();
    }
}

async fn build(store: &Store, id: &str) -> Job {
    store
        .caches()
        .submit(&spec(id), &model(), &new_job(None))
        .await
        .unwrap()
        .into_job()
}

#[tokio::test]
async fn a_cache_goes_from_building_to_ready_with_its_job() {
    let store = test_support::database().await.store;
    let job = build(&store, "brown").await;
    let id: CacheId = "brown".parse().unwrap();
    let cache = store.caches().get(&id).await.unwrap();
    assert_eq!(
        (cache.state, &cache.job, &cache.spec),
        (CacheState::Building, &job.id, &spec("brown"))
    );
    assert!(matches!(
        store.caches().start_delete(&id).await,
        Err(Error::ResourceInUse { .. })
    ));

    let owner = Owner::new();
    let lease = claim(&store, owner).await.unwrap();
    store.work_items().insert_many(&job.id, 2).await.unwrap();
    let mut expected = Vec::new();
    for item in store
        .work_items()
        .claim(Scope::Job(&job.id), owner, LEASE, 9)
        .await
        .unwrap()
    {
        let shards: Vec<CacheShard> = spec("brown")
            .saes
            .into_iter()
            .map(|sae| CacheShard {
                cache: id.clone(),
                sae,
                ord: item.ord,
                digest: format!("d{}", item.ord),
                entries: 10,
                size_bytes: 1 << 33,
            })
            .collect();
        store
            .work_items()
            .complete(&item, WorkResult::CacheShards(&shards))
            .await
            .unwrap();
        expected.extend(shards);
    }
    expected.sort_by(|a, b| (&a.sae, a.ord).cmp(&(&b.sae, b.ord)));
    assert_eq!(store.caches().shards(&id).await.unwrap(), expected);

    let outcome = Outcome::CacheReady {
        cache: id.clone(),
        totals: totals(),
    };
    store.leases().finish(&lease, &outcome).await.unwrap();
    let cache = store.caches().get(&id).await.unwrap();
    assert_eq!((cache.state, cache.totals), (CacheState::Ready, totals()));
}

#[tokio::test]
async fn a_job_cannot_make_a_cache_ready_that_is_not_its_own() {
    let store = test_support::database().await.store;
    let (job, _) = (build(&store, "a").await, build(&store, "b").await);
    let lease = claim(&store, Owner::new()).await.unwrap();
    assert_eq!(lease.job.id, job.id);
    let outcome = Outcome::CacheReady {
        cache: "b".parse().unwrap(),
        totals: totals(),
    };
    assert!(matches!(
        store.leases().finish(&lease, &outcome).await,
        Err(Error::UnknownCache(_))
    ));
    assert_eq!(
        store.jobs().get(&job.id).await.unwrap().state,
        JobState::Running,
        "both or neither"
    );
}

#[tokio::test]
async fn an_id_is_taken_until_the_cache_is_deleted() {
    let store = test_support::database().await.store;
    let job = build(&store, "brown").await;
    let id: CacheId = "brown".parse().unwrap();
    let error = store
        .caches()
        .submit(&spec("brown"), &model(), &new_job(None))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::AlreadyExists);
    assert_eq!(
        store
            .jobs()
            .list(&crate::jobs::Filter::default(), &Page::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    store.jobs().request_cancel(&job.id).await.unwrap();
    assert_eq!(
        store.caches().get(&id).await.unwrap().state,
        CacheState::Failed
    );
    store.caches().start_delete(&id).await.unwrap();
    assert!(matches!(
        store.caches().get(&id).await,
        Err(Error::UnknownCache(_))
    ));
    assert!(matches!(
        store.caches().start_delete(&id).await,
        Err(Error::UnknownCache(_))
    ));
    let deleting = store.caches().deleting().await.unwrap();
    let [hidden] = deleting.as_slice() else {
        panic!("{deleting:?}");
    };
    assert_eq!((&hidden.id, &hidden.job), (&id, &job.id));
    assert!(
        store
            .caches()
            .submit(&spec("brown"), &model(), &new_job(None))
            .await
            .is_err(),
        "its files may be there"
    );
    // Somebody who comes late, for a cache of the same name that was deleted before.
    let late = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    store.caches().finish_delete(&id, &late).await.unwrap();
    assert_eq!(store.caches().deleting().await.unwrap().len(), 1);
    store.caches().finish_delete(&id, &job.id).await.unwrap();
    build(&store, "brown").await;
}

#[tokio::test]
async fn a_repeated_request_is_the_same_cache() {
    let store = test_support::database().await.store;
    let request = || async {
        store
            .caches()
            .submit(&spec("brown"), &model(), &new_job(Some("r")))
            .await
            .unwrap()
    };
    let first = request().await.into_job();
    assert!(matches!(request().await, Submitted::Existing(job) if job.id == first.id));
}

#[tokio::test]
async fn caches_are_listed_by_name_in_pages() {
    let store = test_support::database().await.store;
    for id in ["b", "a_1", "a-1", "c", "a.1"] {
        build(&store, id).await;
    }
    let mut page = Page {
        size: 2,
        token: String::new(),
    };
    let mut ids = Vec::new();
    loop {
        let listed = store.caches().list(&page).await.unwrap();
        ids.extend(listed.items.iter().map(|cache| cache.id.id().to_owned()));
        if listed.next_page_token.is_empty() {
            break;
        }
        page.token = listed.next_page_token;
    }
    assert_eq!(ids, ["a-1", "a.1", "a_1", "b", "c"]);
}

#[tokio::test]
async fn a_job_and_the_deletion_of_its_cache_never_both_happen() {
    let store = test_support::database().await.store;
    let id: CacheId = "brown".parse().unwrap();
    there_is(&store, "brown").await;
    let spec = interp::spec(1, &[]);

    // The deletion has begun and is not committed: the job waits for it, and then finds no cache.
    let mut deleting = store.pool().begin().await.unwrap();
    sqlx::query("update cache set state = 'deleting' where id = 'brown'")
        .execute(&mut *deleting)
        .await
        .unwrap();
    let submit = interp::submit_alone(&store, &spec);
    let commit = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        deleting.commit().await.unwrap();
    };
    let (submitted, ()) = tokio::join!(submit, commit);
    assert!(
        matches!(submitted, Err(Error::UnknownCache(_))),
        "{submitted:?}"
    );
    let hidden = store.caches().deleting().await.unwrap().remove(0);
    store
        .caches()
        .finish_delete(&id, &hidden.job)
        .await
        .unwrap();

    // The other way round: the job is asked for and not committed, and the deletion finds that it is in use.
    there_is(&store, "brown").await;
    let mut submitting = store.pool().begin().await.unwrap();
    sqlx::query("select id from cache where id = 'brown' for key share")
        .execute(&mut *submitting)
        .await
        .unwrap();
    sqlx::query("insert into job (kind, spec, result) values ('explain_latents', $1, '')")
        .bind(sqlx::types::Json(&spec))
        .execute(&mut *submitting)
        .await
        .unwrap();
    let commit = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        submitting.commit().await.unwrap();
    };
    let caches = store.caches();
    let (deleted, ()) = tokio::join!(caches.start_delete(&id), commit);
    assert!(
        matches!(deleted, Err(Error::ResourceInUse { .. })),
        "{deleted:?}"
    );
}

#[tokio::test]
async fn builds_and_caches_belong_to_the_data_folder_that_they_began_in() {
    let store = test_support::database().await.store;
    let here = store.clone().of_data_folder("here");
    let there = store.clone().of_data_folder("there");
    let (lease, id) = {
        let (asked, caches) = (new_job(None), here.caches());
        let submitted = caches.submit(&spec("brown"), &model(), &asked).await;
        let job = submitted.unwrap().into_job();
        let leases = there.leases();
        let taken = leases
            .claim_job(&["build_cache"], Owner::new(), LEASE)
            .await;
        assert!(taken.unwrap().is_none(), "its builder may come back");
        let leases = here.leases();
        let lease = leases
            .claim_job(&["build_cache"], Owner::new(), LEASE)
            .await;
        let lease = lease.unwrap().unwrap();
        assert_eq!(lease.job.id, job.id);
        (lease, "brown".parse::<CacheId>().unwrap())
    };
    let ready = Outcome::CacheReady {
        cache: id.clone(),
        totals: totals(),
    };
    here.leases().finish(&lease, &ready).await.unwrap();
    let standing = there.caches().standing(&id).await.unwrap();
    assert_eq!(standing.place, "job-1");
    assert_eq!(
        there.is_elsewhere(standing.data_folder.as_deref()),
        Some("here")
    );
    assert_eq!(here.is_elsewhere(standing.data_folder.as_deref()), None);
    let sae = "gpt2/l0".parse().unwrap();
    let held = |store: &Store| {
        let store = store.clone();
        let sae = &sae;
        async move { store.caches().holding(sae, 9).await.unwrap().len() }
    };
    assert_eq!((held(&here).await, held(&there).await), (1, 0));
    assert!(matches!(
        there.caches().start_delete(&id).await,
        Err(Error::CacheElsewhere { .. })
    ));
    here.caches().start_delete(&id).await.unwrap();
    assert!(there.caches().deleting().await.unwrap().is_empty());
    assert_eq!(here.caches().deleting().await.unwrap().len(), 1);
}
