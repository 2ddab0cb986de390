//! The database: what must outlive the process. The only crate that knows sqlx.
//!
//! [`Store`] is a cheap handle on a pool of connections to PostgreSQL 15 or later. Each aggregate has one file, which holds its
//! types, its SQL and nothing of another's: [`models`], [`saes`], [`caches`], [`jobs`] with [`leases`], [`events`] and [`pauses`],
//! [`work_items`], and for auto-interpretation [`providers`], [`processes`], [`exchanges`], [`explanations`], [`scores`] and
//! [`interp`], its jobs. [`embedded`] starts a private Postgres where no database is given.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use latentd_store::{Database, Store, embedded};
//!
//! let postgres = embedded::start(embedded::Options::new("/srv/latentd")).await?;
//! let store = Store::connect(&postgres.database()).await?;
//! for model in store.models().list().await? {
//!     println!("{} from {}", model.id, model.path);
//! }
//! store.close().await;
//! postgres.stop().await;
//! # Ok(()) }
//! ```
//!
//! # What holds
//!
//! - **Results and their bookkeeping are one transaction.** A work item is done exactly when its result is stored.
//! - **Leases are fenced.** Every lease of a job or a work item has an epoch; writing under an older one fails with
//!   [`Error::LeaseLost`] and changes nothing.
//! - **An answer is paid for once.** A call of a language model is begun by one process at a time, and an answer that is stored is
//!   given to everyone who asks the same.
//! - **No date decides.** Leases and waits are compared with `lease_now()`, a clock that servers move on by the time that passes
//!   (`lease_clock.rs`), and order is by number. Dates are for people, and the database's.
//! - **A database that is away is its own error**, [`Error::DatabaseUnavailable`]; the pool reconnects by itself.
//!
//! # How to add an aggregate
//!
//! 1. Write `migrations/NNNN_<what>.sql` by the rules of `migrations/README.md`.
//! 2. Add a file here: the record type, `impl FromRow` where columns become domain types, and a struct `Things<'a>(&'a Store)`
//!    with one method for each statement, which [`Store`] hands out.
//! 3. Name its constraints in [`error`] where violating one means something to a client.
//! 4. Write `tests/<what>.rs` with `test_support::database()`.

pub mod caches;
mod database;
pub mod embedded;
mod error;
pub mod events;
pub mod exchanges;
pub mod explanations;
pub mod interp;
pub mod jobs;
mod latent_stats;
mod lease_clock;
pub mod leases;
pub mod models;
pub mod page;
pub mod pauses;
pub mod processes;
pub mod providers;
pub mod saes;
pub mod scores;
mod signals;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
#[cfg(test)]
mod tests;
mod text;
pub mod work_items;

pub use database::{Database, Store};
pub use error::Error;
pub use signals::Signals;
