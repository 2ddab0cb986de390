//! The engine's life: starting its two threads, and ending them.

use std::{
    sync::Arc,
    thread::{Builder, JoinHandle},
};

use latentd_domain::{DeviceKind, Dtype};

use crate::{
    Error, Handle,
    compute::{Compute, NnCompute},
    health::Reporter,
    loader::{self, Loader},
    planner::Budget,
    queue::{End, Queue},
    residency::Residency,
    thread,
};

/// Tokens up to which works of different depths share a pass: below it a pass is bound by reading the weights, so that a
/// few tokens more, or a few blocks more for them, cost little beside a pass of their own.
const MIXED_DEPTH_TOKENS: usize = 64;

/// On a CPU, tokens of what goes first at a pause: who comes next waits for one such batch.
const LIGHT_TOKENS: usize = 128;

/// On a CPU, tokens of an interactive batch that others can join. A token costs the CPU nearly the same in a batch of 1024 as in one
/// of 4096.
const CPU_BATCH_TOKENS: usize = 1024;

/// On a CPU, tokens of a pass of a longer batch. It pauses between blocks, so that this bounds what is computed in one piece
/// behind the last block: the SAEs.
const CPU_PASS_TOKENS: usize = 1024;

/// Interactive batches in a row while bulk work waits.
const INTERACTIVE_RUN: u32 = 8;

/// Settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Index of the device; 0 on a CPU.
    pub device: usize,
    /// Number format of models that are loaded without naming one.
    pub dtype: Dtype,
    /// Tokens of a forward pass, unless one sequence alone has more.
    pub batch_tokens: usize,
    /// Works that may wait; more are refused.
    pub max_queued: usize,
    /// Threads that compute on the host; `None` takes one for each core that the process may use.
    pub threads: Option<usize>,
    /// Bytes that sequences which go on may keep on the device, unless one alone needs more.
    pub past_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: 0,
            dtype: Dtype::F32,
            batch_tokens: 4096,
            max_queued: 256,
            threads: None,
            past_bytes: 1 << 30,
        }
    }
}

/// The device and the engine's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `cpu`, `cuda:0`.
    pub name: String,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Number format of models that are loaded without naming one.
    pub dtype: Dtype,
    /// Threads that the device computes with; 0 on a GPU.
    pub threads: usize,
    /// Tokens of a forward pass, unless one sequence alone has more.
    pub batch_tokens: usize,
    /// Works that may wait.
    pub max_queued: usize,
}

/// What the threads and the handles share.
pub(crate) struct Shared {
    pub(crate) compute: Box<dyn Compute>,
    pub(crate) queue: Queue,
    pub(crate) loader: Loader,
    pub(crate) residency: Residency,
    pub(crate) health: Reporter,
    pub(crate) info: DeviceInfo,
    /// Tokens of a pass, unless one sequence alone has more. On a CPU it is less than a batch may have: between passes there
    /// are pauses.
    pub(crate) pass_tokens: usize,
    /// [`Options::past_bytes`].
    pub(crate) past_bytes: u64,
}

impl Shared {
    /// Why a reply was dropped without an answer.
    pub(crate) fn gone(&self) -> Error {
        self.queue
            .end()
            .map_or(Error::EngineUnavailable, End::error)
    }
}

/// The running engine. Dropping it ends it: what waits is refused, the batch that computes is finished.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the engine's threads, with nothing resident.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if there is no such device or a thread cannot be started.
    pub fn start(options: Options) -> Result<(Engine, Handle), Error> {
        let compute = NnCompute::new(options.device, options.threads)
            .map_err(|error| Error::Start(error.to_string()))?;
        Self::start_on(Box::new(compute), options)
    }

    /// Starts the engine on any device.
    pub(crate) fn start_on(
        compute: Box<dyn Compute>,
        options: Options,
    ) -> Result<(Engine, Handle), Error> {
        let on_cpu = compute.kind() == DeviceKind::Cpu;
        let at_most = |tokens: usize| {
            if on_cpu {
                options.batch_tokens.min(tokens)
            } else {
                options.batch_tokens
            }
        };
        let budget = Budget {
            tokens: at_most(CPU_BATCH_TOKENS),
            light_tokens: LIGHT_TOKENS,
            mixed_depth_tokens: MIXED_DEPTH_TOKENS,
            interactive_run: INTERACTIVE_RUN,
        };
        let info = DeviceInfo {
            name: compute.name(),
            dtype: options.dtype,
            kind: compute.kind(),
            threads: match compute.kind() {
                DeviceKind::Cpu => compute.threads(),
                DeviceKind::Gpu => 0,
            },
            batch_tokens: options.batch_tokens,
            max_queued: options.max_queued,
        };
        let (loader, orders) = Loader::new();
        let shared = Arc::new(Shared {
            compute,
            queue: Queue::new(options.max_queued, budget),
            loader,
            residency: Residency::default(),
            health: Reporter::new(),
            info,
            pass_tokens: at_most(CPU_PASS_TOKENS),
            past_bytes: options.past_bytes,
        });
        let mut engine = Engine {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        // An early return drops the engine, which ends the thread that did start.
        let device = Arc::clone(&shared);
        engine.spawn(thread::NAME, move || thread::serve(&device))?;
        let loading = Arc::clone(&shared);
        engine.spawn(loader::NAME, move || loader::serve(&loading, &orders))?;
        Ok((engine, Handle::new(shared)))
    }

    /// Ends the engine after it has answered what waits; new calls are refused at once. Blocks until then.
    pub fn shutdown(mut self) {
        self.shared.queue.close(End::ShutDown);
        self.shared.health.stopped("shutting down");
        self.join();
    }

    /// Waits for the threads and frees what is resident. The loader is first: it may wait for the device.
    fn join(&mut self) {
        self.shared.loader.close();
        for thread in self.threads.drain(..).rev() {
            // A thread that panicked has said so in the log and in the health.
            drop(thread.join());
        }
        self.shared.residency.clear();
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = Builder::new().name(name.to_owned()).spawn(body);
        self.threads
            .push(thread.map_err(|error| Error::Start(format!("cannot start {name}: {error}")))?);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.close_and_refuse(End::ShutDown);
        self.join();
    }
}
