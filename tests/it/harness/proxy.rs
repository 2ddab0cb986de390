//! A road to Postgres that a test can cut: a Unix socket that forwards to the real one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

/// Connections to a Postgres through a socket of the test's own.
pub(crate) struct Proxy {
    dir: tempfile::TempDir,
    real: PathBuf,
    url: String,
    open: Arc<Mutex<JoinSet<()>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before the Unix socket that `url` names.
    pub(crate) fn before(url: &str) -> Self {
        // In a URL, the folder of a Unix socket is the host, percent-encoded.
        let start = url.rfind('@').expect("the test database has a role") + 1;
        let end = url[start..]
            .find([':', '/'])
            .expect("the test database has a port")
            + start;
        let real = decoded(&url[start..end]).join(".s.PGSQL.5432");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().display().to_string().replace('/', "%2F");
        let url = format!("{}{folder}{}", &url[..start], &url[end..]);
        let mut proxy = Self {
            dir,
            real,
            url,
            open: Arc::default(),
            accepting: None,
        };
        proxy.restore();
        proxy
    }

    /// The database's address through the proxy.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join(".s.PGSQL.5432")
    }

    /// Lets connections through.
    pub(crate) fn restore(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (real, open) = (self.real.clone(), Arc::clone(&self.open));
        self.accepting = Some(tokio::runtime::Handle::current().spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let real = real.clone();
                open.lock().unwrap().spawn(async move {
                    if let Ok(mut server) = UnixStream::connect(real).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        }));
    }

    /// Breaks every connection and refuses new ones.
    pub(crate) fn cut(&mut self) {
        fs_err::remove_file(self.socket()).unwrap();
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        self.open.lock().unwrap().abort_all();
    }
}

fn decoded(host: &str) -> PathBuf {
    let mut parts = host.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    let path = parts.fold(first, |path, part| {
        let code = u8::from_str_radix(&part[..2], 16).expect("a percent-encoded byte");
        path + &char::from(code).to_string() + &part[2..]
    });
    PathBuf::from(path)
}
