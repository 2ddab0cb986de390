//! Providers, and the processes that share their limits.

use std::time::Duration;

use latentd_domain::{
    Reason,
    autointerp::{Capabilities, Limits, Prices, ProviderKind, ScorerKind},
};

use super::{LEASE, interp};
use crate::{
    Error,
    interp::{Completion, Outcome},
    leases::{Owner, Reaped},
    page::Page,
    processes::Alive,
    providers::NewProvider,
    test_support,
};

pub(super) fn provider(id: &str) -> NewProvider {
    NewProvider {
        id: id.parse().unwrap(),
        kind: ProviderKind::Openai,
        base_url: "http://127.0.0.1:8000/v1".into(),
        model: "a model".into(),
        key_source: "env:LLM_KEY".into(),
        limits: Limits::default(),
        prices: Prices::default(),
        capabilities: None,
    }
}

#[tokio::test]
async fn providers_are_put_probed_listed_and_forgotten() {
    let store = test_support::database().await.store;
    let providers = store.providers();
    let new = provider("b");
    let made = providers.put(&new).await.unwrap();
    assert_eq!((made.probe_time, made.version), (None, 1));
    let capabilities = Capabilities {
        prompt_logprobs: true,
        context_length: 4096,
        ..Capabilities::default()
    };
    let probed = providers
        .set_capabilities(&new.id, capabilities)
        .await
        .unwrap();
    assert_eq!((probed.capabilities, probed.version), (capabilities, 2));
    assert!(probed.probe_time.is_some());
    let replaced = NewProvider {
        kind: ProviderKind::Local,
        limits: Limits {
            max_in_flight: 8,
            ..Limits::default()
        },
        ..new.clone()
    };
    let replaced = providers.put(&replaced).await.unwrap();
    assert_eq!(
        (
            replaced.kind,
            replaced.limits.max_in_flight,
            replaced.version
        ),
        (ProviderKind::Local, 8, 3)
    );
    assert_eq!(
        (replaced.probe_time, replaced.capabilities),
        (None, Capabilities::default())
    );
    assert_eq!(replaced.create_time, made.create_time);
    assert_eq!(providers.get(&new.id).await.unwrap(), replaced);

    providers.put(&provider("a")).await.unwrap();
    let page = Page {
        size: 1,
        token: String::new(),
    };
    let first = providers.list(&page).await.unwrap();
    let page = Page {
        token: first.next_page_token,
        ..page
    };
    let second = providers.list(&page).await.unwrap();
    assert_eq!(
        (first.items[0].id.id(), second.items[0].id.id()),
        ("a", "b")
    );
    assert_eq!(second.next_page_token, "");

    providers.delete(&new.id).await.unwrap();
    for error in [
        providers.delete(&new.id).await.unwrap_err(),
        providers.get(&new.id).await.unwrap_err(),
        providers
            .set_capabilities(&new.id, capabilities)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::UnknownProvider(_)), "{error}");
    }
}

#[tokio::test]
async fn a_provider_or_a_cache_that_a_job_needs_stays_until_the_job_ends() {
    let store = test_support::database().await.store;
    let mut spec = interp::spec(1, &[ScorerKind::Detection]);
    spec.scorers[0].provider = Some("grader".parse().unwrap());
    assert!(matches!(
        interp::submit(&store, &spec).await,
        Err(Error::UnknownProvider(_))
    ));
    assert_eq!(store.interp().running().await.unwrap(), []);
    let grader = store.providers().put(&provider("grader")).await.unwrap().id;
    let job = interp::submit(&store, &spec).await.unwrap();
    let error = store.providers().delete(&grader).await.unwrap_err();
    assert!(
        matches!(&error, Error::ResourceInUse { user, .. } if *user == job.id.to_string()),
        "{error}"
    );
    store.jobs().request_cancel(&job.id).await.unwrap();
    store.providers().delete(&grader).await.unwrap();
}

#[tokio::test]
async fn processes_are_counted_while_they_live() {
    let store = test_support::database().await.store;
    let (a, b) = (Owner::new(), Owner::new());
    let beat = async |owner| store.processes().heartbeat(owner, LEASE).await.unwrap();
    assert_eq!(beat(a).await, Alive { count: 1, rank: 0 });
    let ranks = [beat(b).await, beat(a).await];
    assert_eq!(ranks.map(|alive| alive.count), [2, 2]);
    assert_eq!(ranks[0].rank + ranks[1].rank, 1, "each has its place");
    store.processes().leave(b).await.unwrap();
    assert_eq!(beat(a).await.count, 1);
    store
        .processes()
        .heartbeat(b, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(beat(a).await.count, 1, "its lease ran out");
    store.processes().heartbeat(b, LEASE).await.unwrap();
    store.leases().expire_others(a).await.unwrap();
    assert_eq!(beat(a).await.count, 1);
}

#[tokio::test]
async fn items_are_their_process_s_while_it_is_alive_and_holds_them() {
    let store = test_support::database().await.store;
    interp::running(&store, &interp::spec(3, &[])).await;
    let owner = Owner::new();
    store.processes().heartbeat(owner, LEASE).await.unwrap();
    let items = interp::claim(&store, owner, 2).await;
    assert_eq!(store.leases().reap().await.unwrap(), Reaped::default());
    // What no task holds goes to others, though its process is alive.
    store.interp().keep(&items[..1], owner).await.unwrap();
    let other = Owner::new();
    store.processes().heartbeat(other, LEASE).await.unwrap();
    let again = interp::claim(&store, other, 9).await;
    assert_eq!(interp::ords(&again), [1, 2]);
    store.interp().keep(&items, owner).await.unwrap();
    assert_eq!(interp::claim(&store, owner, 9).await, []);

    store.leases().release(owner).await.unwrap();
    let again = interp::claim(&store, other, 9).await;
    assert_eq!(interp::ords(&again), [0]);
    store.processes().leave(other).await.unwrap();
    assert_eq!(store.leases().reap().await.unwrap().returned, 3);
}

#[tokio::test]
async fn deaths_narrow_down_what_causes_them_and_clear_the_rest() {
    let store = test_support::database().await.store;
    interp::running(&store, &interp::spec(40, &[])).await;
    let (owner, interp) = (Owner::new(), store.interp());
    for _ in 0..2 {
        assert_eq!(interp::claim(&store, owner, 30).await.len(), 30);
        assert_eq!(store.leases().reap().await.unwrap().returned, 30);
    }
    let fresh = interp::claim(&store, owner, 99).await;
    assert_eq!(fresh.len(), 10, "the others were there at two deaths");
    interp.give_back(&fresh, owner).await.unwrap();
    assert!(interp.suspects_wait(&[]).await.unwrap());
    let mut sizes = Vec::new();
    for _ in 0..40 {
        let suspects = interp.claim_suspects(owner, &[]).await.unwrap();
        sizes.push(suspects.len());
        // Item 5 kills whoever works on it; whatever is not with it comes to an end.
        if suspects.iter().any(|item| item.ord == 5) {
            store.leases().reap().await.unwrap();
        } else {
            let skipped = suspects.iter().map(|item| Completion {
                item: item.clone(),
                outcome: Outcome::Skipped {
                    dead: true,
                    reason: Reason::LatentNeverFires,
                    detail: String::new(),
                },
            });
            let skipped: Vec<Completion> = skipped.collect();
            interp.complete(&skipped, owner).await.unwrap();
        }
        if !interp.suspects_wait(&[]).await.unwrap() {
            break;
        }
    }
    assert_eq!(sizes[..2], [16, 14]);
    let failed: Vec<i32> = sqlx::query_scalar("select ord from work_item where state = 3")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(failed, [5], "nobody else is given up; tried {sizes:?}");
    assert_eq!(interp::claim(&store, owner, 99).await.len(), 10);
}
