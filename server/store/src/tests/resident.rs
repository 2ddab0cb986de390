//! Models and SAEs that must be resident.

use latentd_domain::{Dtype, ModelId, SaeName};

use crate::{
    Error, Store,
    models::NewModel,
    saes::{LoadOptions, NewSae},
    test_support,
};

fn model(id: &str) -> NewModel {
    NewModel {
        id: id.parse().unwrap(),
        path: format!("/models/{id}"),
        dtype: None,
        digest: "d0".into(),
    }
}

fn sae(name: &str) -> NewSae {
    let options = LoadOptions {
        norm_scaling_factor: Some(0.5),
        hook_point: Some("blocks.9.hook_resid_post".parse().unwrap()),
    };
    NewSae {
        name: name.parse().unwrap(),
        path: format!("/saes/{name}"),
        options,
        digest: "d1".into(),
    }
}

#[tokio::test]
async fn what_was_loaded_is_remembered_in_order() {
    let test = test_support::database().await;
    for id in ["smollm2-135m", "gpt2"] {
        test.store.models().put(&model(id)).await.unwrap();
    }
    let again = NewModel {
        dtype: Some(Dtype::Bf16),
        digest: "d2".into(),
        ..model("smollm2-135m")
    };
    test.store.models().put(&again).await.unwrap();
    test.store
        .saes()
        .put(&sae("smollm2-135m/l9"))
        .await
        .unwrap();

    // As a server finds it that starts anew.
    let store = Store::connect(&test.database).await.unwrap();
    let models = store.models().list().await.unwrap();
    let ids: Vec<&str> = models.iter().map(|model| model.id.id()).collect();
    assert_eq!(ids, ["smollm2-135m", "gpt2"]);
    assert_eq!(
        (models[0].dtype, models[0].digest.as_str()),
        (Some(Dtype::Bf16), "d2")
    );
    let saes = store.saes().list().await.unwrap();
    assert_eq!(saes.len(), 1);
    assert_eq!(
        (&saes[0].name, &saes[0].options),
        (
            &sae("smollm2-135m/l9").name,
            &sae("smollm2-135m/l9").options
        )
    );
}

#[tokio::test]
async fn a_model_takes_its_saes_along() {
    let store = test_support::database().await.store;
    let id: ModelId = "gpt2".parse().unwrap();
    let name: SaeName = "gpt2/l0".parse().unwrap();
    assert!(
        matches!(store.saes().put(&sae("gpt2/l0")).await, Err(Error::UnknownModel(unknown)) if unknown == id)
    );
    store.models().put(&model("gpt2")).await.unwrap();
    store.saes().put(&sae("gpt2/l0")).await.unwrap();
    store.saes().put(&sae("gpt2/l1")).await.unwrap();
    assert!(store.saes().remove(&name).await.unwrap());
    assert!(!store.saes().remove(&name).await.unwrap());
    assert!(store.models().remove(&id).await.unwrap());
    assert!(!store.models().remove(&id).await.unwrap());
    assert_eq!(store.saes().list().await.unwrap(), []);
}
