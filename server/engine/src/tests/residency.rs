//! Loading and unloading while the device goes on.

use latentd_domain::{Dtype, HasReason, HookPoint, Reason, Site};
use latentd_nn::sae::SaeOptions;
use tokio::task::JoinSet;

use super::{Answers, Bench, activations, collect, encode, model, sae, until};
use crate::Error;

#[tokio::test]
async fn the_same_content_again_changes_nothing_and_other_content_is_refused() {
    let bench = Bench::start().await;
    let loads = bench.script.loads();
    let first = bench.handle.catalog().models[&model()].clone();
    let again = bench
        .handle
        .load_model(model(), "models/m".into(), None)
        .await
        .unwrap();
    assert_eq!(again.serial, first.serial);
    assert_eq!(
        bench.script.loads(),
        loads,
        "the same source is not read again"
    );
    let elsewhere = bench
        .handle
        .load_model(model(), "copy/m".into(), None)
        .await
        .unwrap();
    assert_eq!(elsewhere.serial, first.serial);
    let other = bench
        .handle
        .load_model(model(), "models/other".into(), None)
        .await;
    assert!(matches!(other, Err(Error::AlreadyExists { name }) if name == "models/m"));
    let other = bench
        .handle
        .load_model(model(), "models/m".into(), Some(Dtype::Bf16))
        .await;
    assert!(matches!(other, Err(Error::AlreadyExists { .. })));

    let first = bench.handle.catalog().saes[&sae("s3")].clone();
    for path in ["saes/s3", "copy/s3"] {
        let again = bench
            .handle
            .load_sae(sae("s3"), path.into(), SaeOptions::default())
            .await
            .unwrap();
        assert_eq!(again.serial, first.serial);
    }
    let elsewhere = Some(HookPoint::new(5, Site::ResidMid));
    let options = SaeOptions {
        hook_point: elsewhere,
        ..SaeOptions::default()
    };
    for (path, options) in [("saes/s9", SaeOptions::default()), ("saes/s3", options)] {
        let other = bench.handle.load_sae(sae("s3"), path.into(), options).await;
        assert!(matches!(other, Err(Error::AlreadyExists { name }) if name == "models/m/saes/s3"));
    }
}

#[tokio::test]
async fn an_sae_is_resident_once_it_passed_its_test() {
    let bench = Bench::start().await;
    let catalog = bench.handle.catalog();
    assert!(catalog.saes[&sae("s3")].info.self_test.is_some());
    assert_eq!(catalog.resident_bytes(), 1030);
    assert_eq!(catalog.saes_of(&model()).count(), 3);
    let bad = bench
        .handle
        .load_sae(sae("bad"), "saes/bad".into(), SaeOptions::default())
        .await;
    assert_eq!(bad.unwrap_err().reason(), Reason::SelfTestFailed);
    assert!(!bench.handle.catalog().saes.contains_key(&sae("bad")));
    assert!(
        bench.handle.health().borrow().is_serving(),
        "a bad SAE is no defect of the engine"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_the_loader_lives() {
    let bench = Bench::start().await;
    let load = |path: &'static str| {
        bench
            .handle
            .load_model("n".parse().unwrap(), path.into(), None)
    };
    assert_eq!(
        load("models/missing").await.unwrap_err().reason(),
        Reason::MissingTensor
    );
    assert_eq!(
        load("models/panics").await.unwrap_err().reason(),
        Reason::Internal
    );
    assert!(load("models/n").await.is_ok());
    let orphan = "none/s".parse().unwrap();
    let orphan = bench
        .handle
        .load_sae(orphan, "saes/s".into(), SaeOptions::default())
        .await;
    assert!(matches!(orphan, Err(Error::UnknownModel { .. })));
}

#[tokio::test]
async fn a_model_in_use_stays_unless_forced() {
    let bench = Bench::start().await;
    let refused = bench.handle.unload_model(&model(), false).await;
    assert!(matches!(refused, Err(Error::ResourceInUse { saes: 3, .. })));
    assert_eq!(bench.handle.unload_sae(&sae("s3")).await.unwrap(), 10);
    assert!(matches!(
        bench.handle.unload_sae(&sae("s3")).await,
        Err(Error::UnknownSae { .. })
    ));
    assert_eq!(
        bench.handle.unload_model(&model(), true).await.unwrap(),
        1020
    );
    assert!(matches!(
        bench.handle.unload_model(&model(), true).await,
        Err(Error::UnknownModel { .. })
    ));
    let catalog = bench.handle.catalog();
    assert!(catalog.models.is_empty() && catalog.saes.is_empty());
}

#[tokio::test]
async fn loading_goes_on_while_the_device_computes() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench
        .handle
        .load_model("n".parse().unwrap(), "models/n".into(), None)
        .await
        .unwrap();
    bench.script.open_gate();
    assert!(collect(answers).await[0].is_ok());
}

#[tokio::test]
async fn a_load_ends_when_its_caller_leaves_and_the_next_one_goes_on() {
    let bench = Bench::start().await;
    let load = |id: &str| {
        let (handle, path) = (bench.handle.clone(), format!("models/{id}").into());
        let id = id.parse().unwrap();
        async move { handle.load_model(id, path, None).await.map(|_| ()) }
    };
    let begun = bench.script.loads();
    let mut left = JoinSet::new();
    left.spawn(load("endless"));
    until(|| bench.script.loads() > begun).await;
    left.spawn(load("b"));
    tokio::task::yield_now().await;
    // The first is under way, the second waits behind it: both callers leave.
    left.abort_all();
    load("c").await.unwrap();
    let catalog = bench.handle.catalog();
    let there: Vec<String> = catalog.models.keys().map(|id| format!("{id:#}")).collect();
    assert!(there.contains(&"c".to_owned()), "{there:?}");
    assert!(!there.contains(&"endless".to_owned()), "{there:?}");
    assert!(!there.contains(&"b".to_owned()), "{there:?}");
}

#[tokio::test]
async fn works_keep_what_they_need_after_it_was_unloaded() {
    let bench = Bench::start().await;
    let expected = bench.handle.encode(encode("s3", &[&[4, 5]])).await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    bench.submit(&mut answers, [encode("s3", &[&[4, 5]])]).await;
    bench.handle.unload_model(&model(), true).await.unwrap();
    let refused = bench.handle.encode(encode("s3", &[&[4, 5]])).await;
    assert!(matches!(refused, Err(Error::UnknownModel { .. })));
    // Other content under the same names: the two must not share a pass.
    bench
        .handle
        .load_model(model(), "models/other".into(), None)
        .await
        .unwrap();
    bench.script.open_gate();
    let answers = collect(answers).await;
    assert_eq!(activations(&answers[1]), activations(&expected));
}

#[tokio::test]
async fn an_sae_whose_model_left_during_its_test_is_refused() {
    let bench = Bench::start().await;
    let mut answers = Answers::new();
    bench.occupy(&mut answers).await;
    let mut loads = JoinSet::new();
    let handle = bench.handle.clone();
    loads.spawn(async move {
        handle
            .load_sae(sae("n4"), "saes/n4".into(), SaeOptions::default())
            .await
    });
    until(|| bench.handle.queued() == 1).await;
    bench.handle.unload_model(&model(), true).await.unwrap();
    bench.script.open_gate();
    let load = loads.join_next().await.unwrap().unwrap();
    assert!(matches!(load, Err(Error::UnknownModel { .. })));
    assert!(bench.handle.catalog().saes.is_empty());
    collect(answers).await;
}
