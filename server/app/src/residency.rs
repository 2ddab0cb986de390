//! Residency that survives restarts: what LoadModel and LoadSae were told is kept in the database and loaded again at the
//! start, then what the configuration names.

use std::{future::Future, path::PathBuf, sync::Arc};

use latentd_domain::{Dtype, ModelId, ModelKind, Reason, SaeName};
use latentd_engine::{ModelEntry, SaeEntry, SaeOptions};
use latentd_store::{
    models::NewModel,
    saes::{LoadOptions, NewSae},
};

use tokio::sync::oneshot;
use tracing::Instrument;

use crate::{
    app::{App, Shared},
    config,
    grpc::error::Error,
};

/// What the database remembers, as [`crate::health::Health`] tells of it where the database did not answer.
const REMEMBERED: &str = "what was resident";

/// A resident model with resident SAEs of it.
pub(crate) struct Residents {
    /// The model.
    pub(crate) model: Arc<ModelEntry>,
    /// The SAEs, in the order asked.
    pub(crate) saes: Vec<Arc<SaeEntry>>,
}

/// The model, if it is resident.
pub(crate) fn model(app: &App, id: &ModelId) -> Result<Arc<ModelEntry>, Error> {
    let unknown = || latentd_engine::Error::UnknownModel { model: id.clone() };
    Ok(app
        .engine
        .catalog()
        .models
        .get(id)
        .cloned()
        .ok_or_else(unknown)?)
}

/// The SAE, if it is resident.
pub(crate) fn sae(app: &App, name: &SaeName) -> Result<Arc<SaeEntry>, Error> {
    let catalog = app.engine.catalog();
    if let Some(model) = catalog.models.get(name.model()) {
        model.must_be(ModelKind::Language)?;
    }
    let unknown = || latentd_engine::Error::UnknownSae { sae: name.clone() };
    Ok(catalog.saes.get(name).cloned().ok_or_else(unknown)?)
}

/// The sentence encoder that is named, or the only one that is resident.
pub(crate) fn sentence_encoder(app: &App, id: Option<&ModelId>) -> Result<Arc<ModelEntry>, Error> {
    if let Some(id) = id {
        let entry = model(app, id)?;
        return match entry.info.kind {
            ModelKind::SentenceEncoder => Ok(entry),
            ModelKind::Language => {
                let message = format!("{id} is a language model, not a sentence encoder");
                Err(Error::new(Reason::WrongModelKind, message))
            }
        };
    }
    let first = any_sentence_encoder(app)?;
    let catalog = app.engine.catalog();
    let names: Vec<String> = catalog
        .sentence_encoders()
        .map(|entry| entry.id.to_string())
        .collect();
    if names.len() > 1 {
        let message = format!(
            "several sentence encoders are resident; name one of {}",
            names.join(", ")
        );
        return Err(Error::new(Reason::InvalidRequest, message));
    }
    Ok(first)
}

/// A sentence encoder, where any will do: the first by id.
pub(crate) fn any_sentence_encoder(app: &App) -> Result<Arc<ModelEntry>, Error> {
    let catalog = app.engine.catalog();
    let first = catalog.sentence_encoders().next().map(Arc::clone);
    first.ok_or_else(|| {
        let message = "no sentence encoder is resident; load one, such as all-MiniLM-L6-v2";
        Error::new(Reason::NoSentenceEncoder, message)
    })
}

/// SAEs of one model and that model, if all of them are resident.
pub(crate) fn residents(app: &App, saes: &[SaeName]) -> Result<Residents, Error> {
    let first = saes
        .first()
        .ok_or_else(|| Error::internal("a request without an SAE"))?;
    let model = model(app, first.model())?;
    let saes = saes
        .iter()
        .map(|name| sae(app, name))
        .collect::<Result<_, _>>()?;
    Ok(Residents { model, saes })
}

/// Loads a model and remembers it.
pub(crate) async fn load_model(
    app: &Shared,
    id: ModelId,
    path: PathBuf,
    dtype: Option<Dtype>,
) -> Result<Arc<ModelEntry>, Error> {
    let engine = app.engine.clone();
    let load = async move { engine.load_model(id, path, dtype).await };
    load_and_remember(app, load, async move |app, entry| {
        app.health.loaded(&entry.id.to_string());
        app.store.models().put(&remembered(&entry, dtype)).await?;
        Ok(entry)
    })
    .await
}

/// Loads something for a caller, and remembers it. A caller who leaves ends the load; but what has become resident is remembered
/// whatever the caller does.
async fn load_and_remember<T, L, R>(
    app: &Shared,
    load: L,
    remember: impl FnOnce(Shared, Arc<T>) -> R + Send + 'static,
) -> Result<Arc<T>, Error>
where
    T: Send + Sync + 'static,
    L: Future<Output = Result<Arc<T>, latentd_engine::Error>> + Send + 'static,
    R: Future<Output = Result<Arc<T>, Error>> + Send + 'static,
{
    let (mut reply, answer) = oneshot::channel();
    let shared = Arc::clone(app);
    let task = async move {
        let loaded = tokio::select! {
            loaded = load => loaded,
            () = reply.closed() => return,
        };
        let done = match loaded {
            Ok(entry) => remember(shared, entry).await,
            Err(error) => Err(error.into()),
        };
        let _ = reply.send(done);
    };
    app.life.spawn(task.instrument(tracing::Span::current()));
    answer
        .await
        .unwrap_or_else(|_| Err(latentd_engine::Error::ShuttingDown.into()))
}

fn remembered(entry: &ModelEntry, dtype: Option<Dtype>) -> NewModel {
    NewModel {
        id: entry.id.clone(),
        path: entry.info.path.clone(),
        dtype,
        digest: entry.info.digest.clone(),
    }
}

/// Loads an SAE and remembers it, and its model if that came from the configuration.
pub(crate) async fn load_sae(
    app: &Shared,
    name: SaeName,
    path: PathBuf,
    options: SaeOptions,
) -> Result<Arc<SaeEntry>, Error> {
    let asked = LoadOptions {
        norm_scaling_factor: options.norm_scaling_factor,
        hook_point: options.hook_point,
    };
    let engine = app.engine.clone();
    let load = async move { engine.load_sae(name, path, options).await };
    load_and_remember(app, load, async move |app, entry| {
        app.health.loaded(&entry.name.to_string());
        remember_sae(&app, &entry, asked).await?;
        Ok(entry)
    })
    .await
}

async fn remember_sae(app: &App, entry: &SaeEntry, options: LoadOptions) -> Result<(), Error> {
    let sae = NewSae {
        name: entry.name.clone(),
        path: entry.info.path.clone(),
        options,
        digest: entry.info.digest.clone(),
    };
    match app.store.saes().put(&sae).await {
        Err(latentd_store::Error::UnknownModel(model)) => {
            let catalog = app.engine.catalog();
            let Some(resident) = catalog.models.get(&model) else {
                return Err(latentd_engine::Error::UnknownModel { model }.into());
            };
            app.store
                .models()
                .put(&remembered(resident, Some(resident.info.dtype)))
                .await?;
            app.store.saes().put(&sae).await?;
        }
        outcome => outcome?,
    }
    Ok(())
}

/// Forgets and unloads a model, and with `force` its SAEs. Returns the bytes that this gives back.
pub(crate) async fn unload_model(app: &App, id: &ModelId, force: bool) -> Result<u64, Error> {
    if let Some(job) = app.jobs.user_of(|uses| uses.model(id)) {
        return Err(in_use(id, &job));
    }
    let catalog = app.engine.catalog();
    if !catalog.models.contains_key(id) {
        return Err(latentd_engine::Error::UnknownModel { model: id.clone() }.into());
    }
    let saes = catalog.saes_of(id).count();
    if saes > 0 && !force {
        return Err(latentd_engine::Error::ResourceInUse {
            model: id.clone(),
            saes,
        }
        .into());
    }
    // First the database: after a crash between the two the model is gone, as it was asked for.
    app.store.models().remove(id).await?;
    Ok(app.engine.unload_model(id, force).await?)
}

/// Forgets and unloads an SAE. Returns the bytes that this gives back.
pub(crate) async fn unload_sae(app: &App, name: &SaeName) -> Result<u64, Error> {
    if let Some(job) = app.jobs.user_of(|uses| uses.sae(name)) {
        return Err(in_use(name, &job));
    }
    if !app.engine.catalog().saes.contains_key(name) {
        return Err(latentd_engine::Error::UnknownSae { sae: name.clone() }.into());
    }
    app.store.saes().remove(name).await?;
    Ok(app.engine.unload_sae(name).await?)
}

fn in_use(name: &dyn std::fmt::Display, job: &dyn std::fmt::Display) -> Error {
    Error::new(Reason::ResourceInUse, format!("{name} is in use by {job}")).with("user", job)
}

/// Loads what was resident when the server stopped, then what the configuration names. What cannot be loaded is logged and
/// shown by GetServerInfo; it does not keep the server from starting.
pub(crate) async fn restore(app: &App) {
    if let Err(error) = restore_remembered(app).await {
        failed(app, REMEMBERED, &error);
    }
    for model in &app.config.models {
        restore_configured(app, model).await;
    }
}

async fn restore_remembered(app: &App) -> Result<(), Error> {
    let resident = app.engine.catalog();
    for model in app.store.models().list().await? {
        if resident.models.contains_key(&model.id) {
            app.health.loaded(&model.id.to_string());
            continue;
        }
        let loaded = app
            .engine
            .load_model(model.id.clone(), model.path.into(), model.dtype)
            .await;
        match loaded {
            Ok(entry) => {
                let changed = entry.info.digest != model.digest;
                restored(app, &model.id, &entry.info.path, changed);
            }
            Err(error) => failed(app, &model.id, &error.into()),
        }
    }
    for sae in app.store.saes().list().await? {
        if resident.saes.contains_key(&sae.name) {
            app.health.loaded(&sae.name.to_string());
            continue;
        }
        let LoadOptions {
            norm_scaling_factor,
            hook_point,
        } = sae.options;
        let options = SaeOptions {
            norm_scaling_factor,
            hook_point,
        };
        match app
            .engine
            .load_sae(sae.name.clone(), sae.path.into(), options)
            .await
        {
            Ok(entry) => {
                let changed = entry.info.digest != sae.digest;
                restored(app, &sae.name, &entry.info.path, changed);
            }
            Err(error) => failed(app, &sae.name, &error.into()),
        }
    }
    app.health.loaded(REMEMBERED);
    Ok(())
}

async fn restore_configured(app: &App, model: &config::Model) {
    let loaded = app
        .engine
        .load_model(model.id.clone(), model.path.clone(), model.dtype)
        .await;
    if let Err(error) = loaded {
        return failed(app, &model.id, &error.into());
    }
    tracing::info!(model = %model.id, "resident");
    for sae in &model.saes {
        let Ok(name) = SaeName::new(model.id.clone(), &sae.id) else {
            continue;
        };
        let options = SaeOptions {
            norm_scaling_factor: sae.norm_scaling_factor,
            hook_point: sae.hook_point,
        };
        match app
            .engine
            .load_sae(name.clone(), sae.path.clone(), options)
            .await
        {
            Ok(_) => tracing::info!(sae = %name, "resident"),
            Err(error) => failed(app, &name, &error.into()),
        }
    }
}

fn restored(app: &App, what: &impl std::fmt::Display, path: &str, changed: bool) {
    app.health.loaded(&what.to_string());
    if changed {
        tracing::warn!(%what, path, "resident again, from files that have changed since it was loaded first");
    } else {
        tracing::info!(%what, "resident again");
    }
}

fn failed(app: &App, what: &(impl std::fmt::Display + ?Sized), error: &Error) {
    tracing::error!(what = %what, reason = %error.reason(), %error, "not loaded at the start");
    app.health.not_loaded(what.to_string(), error.to_string());
}

/// Waits for nothing: tells what of `saes` is not resident, after trying once more to load what is remembered of it.
pub(crate) async fn ensure(app: &App, saes: &[SaeName]) -> Result<(), Error> {
    let missing = || {
        let catalog = app.engine.catalog();
        saes.iter()
            .find(|name| !catalog.saes.contains_key(name))
            .cloned()
    };
    if missing().is_some() {
        restore_remembered(app).await?;
    }
    match missing() {
        None => Ok(()),
        Some(sae) => Err(latentd_engine::Error::UnknownSae { sae }.into()),
    }
}
