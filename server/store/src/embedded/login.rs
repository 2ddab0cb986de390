//! How somebody else reaches the Postgres that runs in a data directory, with psql or another tool.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Error, NAME, account::absolute, cluster::directory, cluster::password, place::known_base,
};

/// What a tool needs to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Folder of the unix socket; nothing listens on TCP.
    pub socket_dir: PathBuf,
    /// Port number in the name of the socket.
    pub port: u16,
    /// Role.
    pub user: &'static str,
    /// Its password.
    pub password: String,
    /// Database.
    pub database: &'static str,
}

/// How to log in to the Postgres that runs in latentd's data directory. Whoever may read its password file may.
///
/// # Errors
/// [`Error::Io`] if none runs, or its files cannot be read.
pub fn login(data_dir: &Path) -> Result<Login, Error> {
    let base = absolute(&known_base(data_dir)?)?;
    let running = fs_err::read_to_string(directory(&base).join("postmaster.pid"));
    let running = running.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let none = format!("no private Postgres runs in {}", data_dir.display());
            io::Error::new(io::ErrorKind::NotFound, none)
        }
        _ => error,
    })?;
    // Line by line: process id, data directory, start, port, folder of the socket.
    let mut lines = running.lines().skip(3);
    let (port, socket_dir) = (lines.next(), lines.next());
    let port = port.and_then(|port| port.trim().parse().ok());
    let (Some(port), Some(socket_dir)) = (port, socket_dir) else {
        let starting = format!("the Postgres in {} is still starting", data_dir.display());
        return Err(io::Error::other(starting).into());
    };
    Ok(Login {
        socket_dir: socket_dir.into(),
        port,
        user: NAME,
        password: password(&base)?,
        database: NAME,
    })
}
