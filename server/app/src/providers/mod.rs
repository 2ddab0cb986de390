//! Providers that jobs ask: made from what the database knows of them, with keys from the environment or from files, and kept
//! within this server's share of their limits.
//!
//! A provider is looked at anew every second that it is used: a row that was replaced, a key file that was rewritten and a model
//! that was loaded again take effect without a restart, and calls that are under way end as they began.

mod local;
mod make;

pub(crate) use make::allowed;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use latentd_autointerp::provider::{
    Provider,
    limit::{Limited, Limiter, Share},
};
use latentd_domain::{
    ModelId, ProviderId,
    autointerp::{Capabilities, Prices},
};
use latentd_engine::Handle;
use latentd_store::{
    Store,
    providers::{NewProvider, Provider as Row},
};

use self::{local::LocalProvider, make::Made};
use crate::{config::Keys, grpc::error::Error};

/// How long a provider is used before its row is read again.
const FRESH: Duration = Duration::from_secs(1);

/// A provider that may be asked now.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    /// Its id.
    pub(crate) id: ProviderId,
    /// Answers calls, within the limits: each call waits for its turn.
    pub(crate) provider: Arc<Limited>,
    /// What `provider` is limited by.
    pub(crate) limiter: Arc<Limiter>,
    /// What a call costs.
    pub(crate) prices: Prices,
}

/// Every provider that was used lately.
pub(crate) struct Registry {
    store: Store,
    engine: Handle,
    keys: Keys,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    share: Option<Share>,
    providers: HashMap<ProviderId, Entry>,
}

struct Entry {
    read: Instant,
    made: Made,
    registered: Arc<Registered>,
}

impl Registry {
    /// None used yet.
    pub(crate) fn new(store: Store, engine: Handle, keys: Keys) -> Self {
        Self {
            store,
            engine,
            keys,
            inner: Mutex::default(),
        }
    }

    /// The provider, as its row says now or said a moment ago.
    ///
    /// Fails with `UNKNOWN_PROVIDER`, `PROVIDER_KEY_MISSING`, or `UNKNOWN_MODEL` if it is a local model that is not resident.
    pub(crate) async fn get(&self, id: &ProviderId) -> Result<Arc<Registered>, Error> {
        if let Some(registered) = self.fresh(id) {
            return Ok(registered);
        }
        let row = self.store.providers().get(id).await?;
        let mut made = make::made(&self.engine, &self.keys, &registered(&row)).await?;
        let mut inner = self.lock();
        let known = inner.providers.get(id);
        if let Some(same) = known.filter(|entry| entry.made.same_as(&made)) {
            made = same.made.clone();
        }
        let limiter = known.map(|entry| Arc::clone(&entry.registered.limiter));
        let limiter = limiter.unwrap_or_else(|| Arc::new(Limiter::new(row.limits)));
        limiter.set_limits(row.limits);
        if let Some(share) = inner.share {
            limiter.set_share(share);
        }
        let limited = Limited::new(made.provider(), Arc::clone(&limiter));
        let registered = Arc::new(Registered {
            id: id.clone(),
            provider: Arc::new(limited),
            limiter,
            prices: row.prices,
        });
        let entry = Entry {
            read: Instant::now(),
            made,
            registered: Arc::clone(&registered),
        };
        inner.providers.insert(id.clone(), entry);
        Ok(registered)
    }

    /// Asks a provider, registered or not, what it can do.
    pub(crate) async fn probe(&self, provider: &NewProvider) -> Result<Capabilities, Error> {
        let made = make::made(&self.engine, &self.keys, provider).await?;
        let probed = made.provider().probe().await;
        probed.map_err(|error| Error::from_reason(&error).with("provider", &provider.id))
    }

    /// Takes another share of all limits from now on.
    pub(crate) fn set_share(&self, share: impl Into<Share>) {
        let share = share.into();
        let mut inner = self.lock();
        if inner.share == Some(share) {
            return;
        }
        inner.share = Some(share);
        for entry in inner.providers.values() {
            entry.registered.limiter.set_share(share);
        }
    }

    /// Lets no more calls begin, because the server ends.
    pub(crate) fn close(&self) {
        for entry in self.lock().providers.values() {
            entry.registered.limiter.close();
        }
    }

    /// Reads the row of a provider again before it is next used. Its limiter stays: calls under way still count.
    pub(crate) fn forget(&self, id: &ProviderId) {
        if let Some(entry) = self.lock().providers.get_mut(id)
            && let Some(old) = Instant::now().checked_sub(FRESH)
        {
            entry.read = old;
        }
    }

    fn fresh(&self, id: &ProviderId) -> Option<Arc<Registered>> {
        let inner = self.lock();
        let entry = inner.providers.get(id)?;
        (entry.read.elapsed() < FRESH).then(|| Arc::clone(&entry.registered))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a row was registered as.
pub(crate) fn registered(row: &Row) -> NewProvider {
    let Row {
        id,
        kind,
        base_url,
        model,
        key_source,
        limits,
        prices,
        capabilities,
        create_time: _,
        probe_time: _,
        version: _,
    } = row.clone();
    NewProvider {
        id,
        kind,
        base_url,
        model,
        key_source,
        limits,
        prices,
        capabilities: Some(capabilities),
    }
}

/// A model that is resident here.
fn local(engine: &Handle, model: ModelId) -> Result<Arc<dyn Provider>, Error> {
    Ok(Arc::new(LocalProvider::new(engine, model)?))
}
