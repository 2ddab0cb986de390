//! The thread that keeps Postgres alive for as long as the server lives.
//!
//! The kernel tells a child of the death of the *thread* that started it, so this thread starts Postgres, waits for it, starts
//! it again, and ends only after it. It works if it holds the lock on the data directory; otherwise another server does, and
//! the thread waits to take over.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::{sync::watch, time};

use super::{
    Error, Options, PORT, binaries,
    cluster::{Cluster, Postmaster, run_as},
    place::Place,
};

/// How often it looks whether it can take over, or whether a Postgres that it did not start still runs.
const LOOK: Duration = Duration::from_millis(250);
/// How long a Postgres that was left by a killed server may take to stop.
const LAST_MOMENTS: Duration = Duration::from_secs(2);
/// How long a Postgres must have run for the next one to be started at once.
const RAN: Duration = Duration::from_secs(5);
/// How long it tries to start Postgres before [`super::start`] gives up. After a `kill -9` of Postgres its old processes hold
/// the data directory for some seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long a fast shutdown may take before an immediate one, which costs a recovery at the next start.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Shared memory in /dev/shm that Postgres' parallel queries want; containers often have 64 MB.
const SHARED_MEMORY: u64 = 128 * 1024 * 1024;

/// A handle on the thread. Dropping it stops Postgres without waiting.
#[derive(Debug)]
pub(super) struct Guardian {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread from its waits when it is to stop.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    /// This process holds the lock.
    owner: bool,
    /// Who runs Postgres is clear: another server, this one, or someone who started it by hand. Until then whoever answers may
    /// be about to stop.
    settled: bool,
    /// Someone had an answer from Postgres: from now on it is started again whatever happens.
    answered: bool,
    /// Postgres, from its start until it is collected: the pid cannot be another process' in between.
    child: Option<Pid>,
    failure: Option<Error>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, but not into a stop. Returns whether it is to stop.
    fn sleep(&self, duration: Duration) -> bool {
        let waited = self
            .wake
            .wait_timeout_while(self.state(), duration, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    /// Tells Postgres to stop: SIGINT cuts connections and writes everything, SIGQUIT leaves it to the next start.
    fn stop(&self, signal: Signal) {
        let mut state = self.state();
        state.stopping = true;
        if let Some(child) = state.child {
            // An error means that it ended by itself.
            let _ = kill_process(child, signal);
        }
        self.wake.notify_all();
    }
}

impl Guardian {
    /// Starts the thread.
    pub(super) fn spawn(options: Options, place: Place, cluster: Cluster) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (end, ended) = watch::channel(false);
        let watchman = Watchman {
            options,
            place,
            cluster,
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("postgres-guardian".to_owned())
            .spawn(move || {
                if let Err(error) = watchman.keep() {
                    tracing::error!(%error, "the embedded database is given up");
                    watchman.shared.state().failure = Some(error);
                }
                end.send_replace(true);
            })
            .map_err(Error::Thread)?;
        Ok(Self { shared, ended })
    }

    pub(super) fn is_owner(&self) -> bool {
        self.shared.state().owner
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.shared
            .state()
            .child
            .map(|pid| pid.as_raw_nonzero().get() as u32)
    }

    /// Whether it is clear who runs Postgres, so that an answer can be trusted.
    pub(super) fn is_settled(&self) -> bool {
        self.shared.state().settled
    }

    /// Someone had an answer from Postgres.
    pub(super) fn answered(&self) {
        self.shared.state().answered = true;
    }

    /// Why the thread gave up, if it did.
    pub(super) fn failure(&self) -> Option<Error> {
        self.shared.state().failure.take()
    }

    /// Stops Postgres and waits for it.
    pub(super) async fn stop(mut self) {
        self.shared.stop(Signal::INT);
        if time::timeout(STOP_TIMEOUT, self.ended.wait_for(|ended| *ended))
            .await
            .is_err()
        {
            tracing::warn!(
                "the embedded database takes too long to stop: it will recover at the next start"
            );
            self.shared.stop(Signal::QUIT);
            let _ = time::timeout(STOP_TIMEOUT, self.ended.wait_for(|ended| *ended)).await;
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.shared.stop(Signal::INT);
    }
}

/// What the thread knows.
struct Watchman {
    options: Options,
    place: Place,
    cluster: Cluster,
    shared: Arc<Shared>,
}

impl Watchman {
    /// Keeps Postgres alive until it is told to stop. Gives up only if Postgres never answered.
    fn keep(&self) -> Result<(), Error> {
        let lock = self.cluster.open_lock(&self.place)?;
        while let Err(busy) = lock.try_lock() {
            if let std::fs::TryLockError::Error(error) = busy {
                return Err(error.into());
            }
            self.shared.state().settled = true;
            if self.shared.sleep(LOOK) {
                return Ok(());
            }
        }
        self.shared.state().owner = true;
        let began = Instant::now();
        while let Postmaster::Live(_) = self.cluster.postmaster() {
            // Left by a server that was killed, in which case it stops in a moment, or started by hand.
            if began.elapsed() > LAST_MOMENTS {
                self.shared.state().settled = true;
            }
            if self.shared.sleep(LOOK) {
                return Ok(());
            }
        }
        self.shared.state().settled = true;
        self.restart_until_stopped()
    }

    fn restart_until_stopped(&self) -> Result<(), Error> {
        let (first, mut wait) = (Instant::now(), LOOK);
        loop {
            let started = Instant::now();
            let tried = self.start_and_wait();
            let (stopping, answered) = {
                let state = self.shared.state();
                (state.stopping, state.answered)
            };
            match tried {
                _ if stopping => return Ok(()),
                Err(error) if !answered => return Err(error),
                Ok(()) if !answered && first.elapsed() > PATIENCE => {
                    return Err(Error::Exits {
                        log: self.cluster.log_tail(),
                    });
                }
                Err(error) => tracing::error!(%error, "cannot start the embedded database"),
                Ok(()) => tracing::warn!(
                    postgres.log = self.cluster.log_tail(),
                    "the embedded database stopped: starting it again"
                ),
            }
            wait = if started.elapsed() >= RAN {
                LOOK
            } else {
                (wait * 2).min(LONGEST_WAIT)
            };
            if self.shared.sleep(wait) {
                return Ok(());
            }
        }
    }

    /// Starts Postgres, making its data directory first if need be, and returns when it has ended.
    fn start_and_wait(&self) -> Result<(), Error> {
        let major = self.cluster.major()?;
        let named = self.options.binaries.as_deref();
        let mut found = binaries::find(&self.options.data_dir, named, major)?;
        if let Some(account) = self.place.account() {
            found = found.reachable_by(account, self.place.base())?;
        }
        if major.is_none() {
            tracing::info!(
                "making a PostgreSQL {} data directory in {}",
                found.major(),
                self.cluster.directory().display()
            );
            self.cluster
                .create(&found, &self.place, self.options.durable)?;
        }
        if self.cluster.postmaster() == Postmaster::Mistaken {
            self.cluster.forget_postmaster()?;
        }
        let mut command = self.command(&found.program("postgres"))?;
        let child = {
            // Under the lock: who tells the thread to stop meanwhile finds the child, or the child is not started.
            let mut state = self.shared.state();
            if state.stopping {
                return Ok(());
            }
            let child = command.spawn().map_err(|source| Error::Program {
                program: found.program("postgres"),
                source,
            })?;
            state.child = Some(Pid::from_child(&child));
            child
        };
        self.wait(child)
    }

    fn command(&self, postgres: &Path) -> Result<Command, Error> {
        let mut command = Command::new(postgres);
        command
            .arg("-D")
            .arg(self.cluster.directory())
            .arg("-k")
            .arg(self.cluster.socket_dir());
        command.args(["-h", "", "-p", &PORT.to_string()]);
        let fsync = if self.options.durable {
            "fsync=on"
        } else {
            "fsync=off"
        };
        let settings = [
            fsync,
            "unix_socket_permissions=0700",
            "max_connections=100",
            "shared_buffers=64MB",
            "max_wal_size=512MB",
            "jit=off",
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=%m [%p] ",
            "cluster_name=latentd",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        if !enough_shared_memory() {
            command.args(["-c", "dynamic_shared_memory_type=mmap"]);
        }
        let log = self.cluster.open_log(&self.place)?.into_parts().0;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        run_as(&mut command, self.place.account());
        stop_with_parent(&mut command);
        Ok(command)
    }

    /// Waits until Postgres has ended.
    fn wait(&self, mut child: Child) -> Result<(), Error> {
        let pid = Pid::from_child(&child);
        // Waits without collecting it: until `child` is empty again, the pid cannot become another process'.
        while let Err(rustix::io::Errno::INTR) = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {}
        let mut state = self.shared.state();
        state.child = None;
        child.wait().map(drop).map_err(Error::Thread)
    }
}

/// Has the kernel tell the program to stop, by a fast shutdown, when the thread that starts it ends: even `kill -9` of the
/// server leaves no Postgres behind.
#[cfg(target_os = "linux")]
fn stop_with_parent(command: &mut Command) {
    use rustix::process::{getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let set = move || {
        set_parent_process_death_signal(Some(Signal::INT))?;
        // The server may have died before the line above: then no signal will come.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // It runs after the change of user, which would clear the setting.
    //
    // SAFETY: between fork and exec only what is async-signal-safe may be called. `set` makes two system calls and nothing
    // else: it takes no lock and allocates nothing, and its errors are bare numbers.
    #[expect(
        unsafe_code,
        reason = "there is no safe way to set a parent-death signal on a child"
    )]
    unsafe {
        command.pre_exec(set);
    }
}

#[cfg(not(target_os = "linux"))]
fn stop_with_parent(_command: &mut Command) {}

/// Whether /dev/shm is large enough for Postgres' dynamic shared memory.
fn enough_shared_memory() -> bool {
    rustix::fs::statvfs("/dev/shm")
        .is_ok_and(|stat| stat.f_blocks.saturating_mul(stat.f_frsize) >= SHARED_MEMORY)
}
