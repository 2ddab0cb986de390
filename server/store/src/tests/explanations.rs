//! Explanations: stored once, listed, searched, deleted with what hangs on them.

use latentd_domain::autointerp::ScorerKind;

use super::interp::{self, explanation, score};
use crate::{
    Error, Store,
    explanations::{Candidate, Explanation, Filter, HAND, NewExplanation, Provenance},
    interp::{Completion, Outcome},
    leases::Owner,
    page::Page,
    test_support,
};

fn by_hand(latent: u32, text: &str) -> NewExplanation {
    NewExplanation {
        sae: "gpt2/l0".parse().unwrap(),
        latent,
        text: text.into(),
        explainer: HAND.into(),
        provenance: Provenance {
            author: "me".into(),
            ..Provenance::default()
        },
    }
}

/// A job that explained latents 0.. with these texts and scored the even ones by 0.75.
async fn explained(store: &Store, texts: &[&str]) -> latentd_domain::JobId {
    let lease = interp::running(
        store,
        &interp::spec(texts.len() as u32, &[ScorerKind::Detection]),
    )
    .await;
    let (job, owner) = (lease.job.id, Owner::new());
    let items = interp::claim(store, owner, 99).await;
    let made = |latent: u32| explanation(&job, latent, texts[latent as usize]);
    let batch: Vec<_> = items
        .iter()
        .map(|item| Completion {
            item: item.clone(),
            outcome: Outcome::Explained {
                explanations: vec![made(item.ord / 2)],
                existing: Vec::new(),
            },
        })
        .collect();
    store.interp().complete(&batch, owner).await.unwrap();
    let batch: Vec<_> = interp::claim(store, owner, 99)
        .await
        .into_iter()
        .filter(|item| item.ord / 2 % 2 == 0)
        .map(|item| Completion {
            outcome: Outcome::Scored {
                scores: vec![score(&made(item.ord / 2), ScorerKind::Detection, "+-")],
            },
            item,
        })
        .collect();
    store.interp().complete(&batch, owner).await.unwrap();
    job
}

fn latents(found: &[Explanation]) -> Vec<u32> {
    found.iter().map(|explanation| explanation.latent).collect()
}

#[tokio::test]
async fn the_same_work_is_the_same_explanation() {
    let store = test_support::database().await.store;
    let first = store
        .explanations()
        .create(&by_hand(3, "numbers"))
        .await
        .unwrap();
    let second = store
        .explanations()
        .create(&by_hand(3, "numbers"))
        .await
        .unwrap();
    assert_eq!(first, second);
    let other = store
        .explanations()
        .create(&by_hand(3, "dates"))
        .await
        .unwrap();
    assert_ne!(first.id, other.id);
    let of_latent = store.explanations().of_latent(&first.sae, 3).await.unwrap();
    assert_eq!(of_latent, [first.clone(), other]);

    // Two jobs that find the same share the row, and each knows it as its own.
    let a = explained(&store, &["verbs", "nouns"]).await;
    let b = explained(&store, &["verbs", "cities"]).await;
    let found = store.explanations().of_job(&a, 0).await.unwrap();
    assert_eq!(found, store.explanations().of_job(&b, 0).await.unwrap());
    assert_eq!(found[0].provenance.job, Some(a), "who made it first");
    let scores = store.explanations().get(&found[0].id).await.unwrap().scores;
    assert_eq!(scores.len(), 2, "each job has a score of it");
    assert_eq!(scores[0].job, b, "newest first");
}

#[tokio::test]
async fn a_job_may_work_with_explanations_that_were_there() {
    let store = test_support::database().await.store;
    let found = store
        .explanations()
        .create(&by_hand(0, "numbers"))
        .await
        .unwrap();
    let lease = interp::running(&store, &interp::spec(1, &[])).await;
    let items = interp::claim(&store, Owner::new(), 9).await;
    let gone = "no-such-explanation".parse().unwrap();
    let done = Completion {
        item: items[0].clone(),
        outcome: Outcome::Explained {
            explanations: Vec::new(),
            existing: vec![found.id.clone(), gone],
        },
    };
    store
        .interp()
        .complete(&[done], Owner::new())
        .await
        .unwrap();
    assert_eq!(
        store.explanations().of_job(&lease.job.id, 0).await.unwrap(),
        [found]
    );
}

/// Every explanation of a list, read in pages of two.
async fn listed(store: &Store, filter: &Filter) -> Vec<Explanation> {
    let (mut page, mut all) = (
        Page {
            size: 2,
            token: String::new(),
        },
        Vec::new(),
    );
    loop {
        let listed = store.explanations().list(filter, &page).await.unwrap();
        all.extend(listed.items);
        if listed.next_page_token.is_empty() {
            return all;
        }
        page.token = listed.next_page_token;
    }
}

#[tokio::test]
async fn lists_are_filtered_and_cut_into_pages() {
    let store = test_support::database().await.store;
    let job = explained(&store, &["a", "b", "c", "d", "e"]).await;
    store
        .explanations()
        .create(&by_hand(1, "mine"))
        .await
        .unwrap();
    let list = async |filter: Filter| listed(&store, &filter).await;
    assert_eq!(latents(&list(Filter::default()).await), [0, 1, 1, 2, 3, 4]);
    let of = |latents: &[u32]| Filter {
        latents: latents.to_vec(),
        ..Filter::default()
    };
    assert_eq!(latents(&list(of(&[1, 4])).await), [1, 1, 4]);
    assert_eq!(
        latents(
            &list(Filter {
                explainer: HAND.into(),
                ..Filter::default()
            })
            .await
        ),
        [1]
    );
    assert_eq!(
        latents(
            &list(Filter {
                job: Some(job),
                ..of(&[1, 2])
            })
            .await
        ),
        [1, 2]
    );
    let other = Filter {
        sae: Some("gpt2/other".parse().unwrap()),
        ..Filter::default()
    };
    assert_eq!(latents(&list(other).await), [] as [u32; 0]);
}

#[tokio::test]
async fn lists_are_filtered_by_score() {
    let store = test_support::database().await.store;
    explained(&store, &["a", "b", "c", "d", "e"]).await;
    let list = async |filter: Filter| listed(&store, &filter).await;
    let detection = Filter {
        scorer: Some(ScorerKind::Detection),
        ..Filter::default()
    };
    let scored = list(detection.clone()).await;
    assert_eq!(latents(&scored), [0, 2, 4]);
    assert!(
        scored
            .iter()
            .all(|explanation| explanation.scores.len() == 1)
    );
    assert_eq!(
        latents(
            &list(Filter {
                min_score: Some(0.75),
                ..detection.clone()
            })
            .await
        ),
        [0, 2, 4]
    );
    assert_eq!(
        latents(
            &list(Filter {
                min_score: Some(0.76),
                ..detection.clone()
            })
            .await
        ),
        [] as [u32; 0]
    );
    assert_eq!(
        latents(
            &list(Filter {
                max_score: Some(0.7),
                ..detection
            })
            .await
        ),
        [] as [u32; 0]
    );
}

#[tokio::test]
async fn words_are_found_in_any_form_and_any_query_is_valid() {
    let store = test_support::database().await.store;
    explained(
        &store,
        &[
            "The word running, in sports",
            "Names of cities",
            "a runner who runs and runs",
        ],
    )
    .await;
    let search = async |query: &str| {
        let hits = store
            .explanations()
            .search_words(query, None, 10)
            .await
            .unwrap();
        hits.iter()
            .map(|hit| hit.explanation.latent)
            .collect::<Vec<_>>()
    };
    assert_eq!(search("run").await, [2, 0], "best first");
    assert_eq!(search("city -names").await, [] as [u32; 0]);
    assert_eq!(search("\"names of cities\"").await, [1]);
    for odd in ["", "\0", "(((", "& | !", "the"] {
        assert_eq!(search(odd).await, [] as [u32; 0], "{odd:?}");
    }
    let sae = "gpt2/other".parse().unwrap();
    assert!(
        store
            .explanations()
            .search_words("run", Some(&sae), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn embeddings_are_kept_once_and_read_in_chunks() {
    let store = test_support::database().await.store;
    explained(&store, &["a", "b", "c"]).await;
    let explanations = store.explanations();
    let sae = "gpt2/l0".parse().unwrap();
    let missing = explanations
        .without_embedding("mini", Some(&sae), 2)
        .await
        .unwrap();
    assert_eq!(missing.len(), 2);
    let mut made: Vec<Candidate> = missing
        .iter()
        .map(|(id, _)| Candidate {
            id: id.clone(),
            embedding: vec![0.6, -0.8, 1e-9],
        })
        .collect();
    made.push(Candidate {
        id: "gone".parse().unwrap(),
        embedding: vec![1.0],
    });
    explanations.put_embeddings("mini", &made).await.unwrap();
    explanations.put_embeddings("mini", &made).await.unwrap();
    assert_eq!(
        explanations
            .without_embedding("mini", None, 9)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        explanations
            .without_embedding("other", None, 9)
            .await
            .unwrap()
            .len(),
        3
    );
    let first = explanations
        .embeddings("mini", Some(&sae), None, 1)
        .await
        .unwrap();
    let second = explanations
        .embeddings("mini", None, Some(&first[0].id), 9)
        .await
        .unwrap();
    made.pop();
    assert_eq!([first, second].concat(), made);
    let other = "gpt2/other".parse().unwrap();
    assert_eq!(
        explanations
            .embeddings("mini", Some(&other), None, 9)
            .await
            .unwrap(),
        []
    );
    let ids: Vec<_> = made
        .iter()
        .rev()
        .map(|candidate| candidate.id.clone())
        .collect();
    let found = explanations.get_many(&ids).await.unwrap();
    assert_eq!(
        found.iter().map(|e| &e.id).collect::<Vec<_>>(),
        ids.iter().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn another_latents_explanation_is_chosen_by_the_seed() {
    let store = test_support::database().await.store;
    explained(&store, &["a", "b", "c", "d"]).await;
    let sae = "gpt2/l0".parse().unwrap();
    let draw = async |seed| {
        store
            .explanations()
            .random_other(&sae, 2, seed)
            .await
            .unwrap()
            .unwrap()
            .latent
    };
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        assert_eq!(draw(seed).await, draw(seed).await);
        seen.insert(draw(seed).await);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 3]);
    let other = "gpt2/other".parse().unwrap();
    assert_eq!(
        store
            .explanations()
            .random_other(&other, 2, 1)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_deleted_explanation_takes_its_scores_along() {
    let store = test_support::database().await.store;
    let job = explained(&store, &["a", "b"]).await;
    let id = store
        .explanations()
        .of_job(&job, 0)
        .await
        .unwrap()
        .remove(0)
        .id;
    let made = Candidate {
        id: id.clone(),
        embedding: vec![1.0],
    };
    store
        .explanations()
        .put_embeddings("mini", &[made])
        .await
        .unwrap();
    store.explanations().delete(&id).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from score) + (select count(*) from score_example)
             + (select count(*) from explanation_embedding)",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    assert_eq!(left, 0);
    assert_eq!(store.explanations().of_job(&job, 0).await.unwrap(), []);
    assert!(matches!(
        store.explanations().delete(&id).await,
        Err(Error::UnknownExplanation(_))
    ));
    assert!(matches!(
        store.explanations().get(&id).await,
        Err(Error::UnknownExplanation(_))
    ));
}

#[tokio::test]
async fn scores_of_the_latent_itself_are_shown_with_its_explanations() {
    let store = test_support::database().await.store;
    let lease = interp::running(&store, &interp::spec(2, &[ScorerKind::Intruder])).await;
    let (job, owner) = (&lease.job.id, Owner::new());
    for _ in 0..2 {
        let batch: Vec<_> = interp::claim(&store, owner, 9)
            .await
            .into_iter()
            .map(|item| {
                let made = explanation(job, item.ord / 2, "a");
                let outcome = if item.ord % 2 == 0 {
                    Outcome::Explained {
                        explanations: vec![made],
                        existing: Vec::new(),
                    }
                } else {
                    let mut score = score(&made, ScorerKind::Intruder, "+");
                    score.explanation = None;
                    Outcome::Scored {
                        scores: vec![score],
                    }
                };
                Completion { item, outcome }
            })
            .collect();
        store.interp().complete(&batch, owner).await.unwrap();
    }
    let listed = store
        .explanations()
        .list(&Filter::default(), &Page::default())
        .await
        .unwrap();
    for explanation in listed.items {
        let scores = &explanation.scores;
        assert_eq!((scores.len(), scores[0].latent), (1, explanation.latent));
        assert_eq!(
            (scores[0].scorer, &scores[0].explanation),
            (ScorerKind::Intruder, &None)
        );
    }
}
