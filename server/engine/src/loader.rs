//! The loader's thread: reads models and SAEs while the device goes on encoding, and gives memory back.
//!
//! Only an SAE's self-test needs the device; it goes there as a work like any other.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::SystemTime,
};

use latentd_domain::{Dtype, ModelId, SaeName};
use latentd_files::Interrupt;
use latentd_nn::{LoadError, sae::SaeOptions};
use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    Error,
    catalog::{ModelEntry, ModelSource, SaeEntry, SaeSource},
    compute::ResidentSae,
    contain::contain,
    engine::Shared,
    residency::Removed,
    work::{Reply, Request, SelfTest, Work},
};

/// Name of the thread.
pub(crate) const NAME: &str = "latentd-loader";

/// Loads that may wait.
const LIMIT: usize = 64;

/// What the loader is asked to do.
pub(crate) enum Order {
    /// Make a model resident.
    Model {
        id: ModelId,
        source: ModelSource,
        span: Span,
        interrupt: Interrupt,
        reply: Reply<Arc<ModelEntry>>,
    },
    /// Make an SAE resident.
    Sae {
        name: SaeName,
        source: SaeSource,
        span: Span,
        interrupt: Interrupt,
        reply: Reply<Arc<SaeEntry>>,
    },
    /// Drop what was unloaded.
    Release(Removed),
}

impl Order {
    /// An order to load a model, within the current span.
    pub(crate) fn model(
        id: ModelId,
        path: PathBuf,
        dtype: Dtype,
        interrupt: Interrupt,
        reply: Reply<Arc<ModelEntry>>,
    ) -> Self {
        Self::Model {
            id,
            source: ModelSource { path, dtype },
            span: Span::current(),
            interrupt,
            reply,
        }
    }

    /// An order to load an SAE, within the current span.
    pub(crate) fn sae(
        name: SaeName,
        path: PathBuf,
        options: SaeOptions,
        interrupt: Interrupt,
        reply: Reply<Arc<SaeEntry>>,
    ) -> Self {
        Self::Sae {
            name,
            source: SaeSource { path, options },
            span: Span::current(),
            interrupt,
            reply,
        }
    }
}

/// The way to the loader's thread.
pub(crate) struct Loader {
    orders: Mutex<Option<SyncSender<Order>>>,
}

impl Loader {
    /// The way, and the end that the thread reads.
    pub(crate) fn new() -> (Self, Receiver<Order>) {
        let (orders, receiver) = sync_channel(LIMIT);
        (
            Self {
                orders: Mutex::new(Some(orders)),
            },
            receiver,
        )
    }

    /// Lets an order wait, or refuses it at once.
    pub(crate) fn push(&self, order: Order) -> Result<(), Error> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = orders.as_ref().ok_or(Error::ShuttingDown)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => Error::QueueFull { limit: LIMIT },
            TrySendError::Disconnected(_) => Error::EngineUnavailable,
        })
    }

    /// Accepts nothing more; the thread ends once it has seen what waits.
    pub(crate) fn close(&self) {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// Carries out orders until the loader is closed. Blocks; the calling thread is the loader's.
pub(crate) fn serve(shared: &Shared, orders: &Receiver<Order>) {
    for order in orders {
        match order {
            Order::Model {
                id,
                source,
                span,
                interrupt,
                reply,
            } => {
                let loaded = span.in_scope(|| {
                    unless_ended(shared, || load_model(shared, id, source, &interrupt))
                });
                drop(reply.send(loaded));
            }
            Order::Sae {
                name,
                source,
                span,
                interrupt,
                reply,
            } => {
                let loaded = span.in_scope(|| {
                    unless_ended(shared, || load_sae(shared, name, source, &interrupt))
                });
                drop(reply.send(loaded));
            }
            Order::Release(removed) => drop(removed),
        }
    }
}

/// Nothing is read any more once the engine was told to stop.
fn unless_ended<T>(shared: &Shared, load: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    shared.queue.end().map_or_else(load, |end| Err(end.error()))
}

/// Fails if nobody waits for it any more: what nobody knows of does not become resident.
fn still_wanted(path: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    let path = path.to_owned();
    Ok(interrupt
        .check()
        .map_err(|_| LoadError::Interrupted { path })?)
}

fn load_model(
    shared: &Shared,
    id: ModelId,
    source: ModelSource,
    interrupt: &Interrupt,
) -> Result<Arc<ModelEntry>, Error> {
    still_wanted(&source.path, interrupt)?;
    let identify = || contain(|| Ok(shared.compute.identify(&source.path, interrupt)?));
    if let Some(resident) = shared.residency.resident_model(&id, &source, identify)? {
        return Ok(resident);
    }
    let load = || {
        Ok(shared
            .compute
            .load_model(&source.path, source.dtype, interrupt)?)
    };
    let resident = contain(load)?;
    still_wanted(&source.path, interrupt)?;
    let entry = ModelEntry {
        id,
        info: resident.info().clone(),
        tokenizer: Arc::clone(resident.tokenizer()),
        loaded_at: SystemTime::now(),
        serial: shared.residency.serial(),
        source,
        resident,
    };
    let entry = shared.residency.add_model(entry)?;
    tracing::info!(model = %entry.id, path = %entry.info.path, digest = %entry.info.digest, "model resident");
    Ok(entry)
}

fn load_sae(
    shared: &Shared,
    name: SaeName,
    source: SaeSource,
    interrupt: &Interrupt,
) -> Result<Arc<SaeEntry>, Error> {
    still_wanted(&source.path, interrupt)?;
    let catalog = shared.residency.snapshot();
    if let Some(resident) = catalog.saes.get(&name)
        && resident.source == source
    {
        return Ok(Arc::clone(resident));
    }
    let Some(model) = catalog.models.get(name.model()) else {
        return Err(Error::UnknownModel {
            model: name.model().clone(),
        });
    };
    let language = model.language()?;
    let read = || Ok(Arc::clone(language).load_sae(&source.path, &source.options, interrupt)?);
    let resident = self_test(shared, contain(read)?)?;
    still_wanted(&source.path, interrupt)?;
    let entry = SaeEntry {
        name,
        info: resident.info().clone(),
        loaded_at: SystemTime::now(),
        serial: shared.residency.serial(),
        source,
        resident: resident.into(),
    };
    let entry = shared.residency.add_sae(entry, model)?;
    let test = entry.info.self_test.as_ref();
    let (l0, fvu) = (test.map(|test| test.l0), test.map(|test| test.fvu));
    tracing::info!(sae = %entry.name, path = %entry.info.path, l0, fvu, "SAE resident");
    Ok(entry)
}

/// Sends an SAE to the device to be tested, and waits for it to come back.
fn self_test(shared: &Shared, sae: Box<dyn ResidentSae>) -> Result<Box<dyn ResidentSae>, Error> {
    let (reply, tested) = oneshot::channel();
    shared
        .queue
        .push_of_loader(Work::new(Request::SelfTest(SelfTest { sae, reply })))?;
    tested
        .blocking_recv()
        .unwrap_or_else(|_| Err(shared.gone()))
}
