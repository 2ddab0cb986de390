//! The connection: one HTTP/2 channel that every call shares and that reconnects by itself.

use std::time::Duration;

use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::{Error, Result, RetryPolicy};

/// Where `latentd serve` listens unless told otherwise.
const DEFAULT_PORT: u16 = 50051;

/// Bytes of one stream that may be on their way. A large reply then does not wait for the network's round trips.
const STREAM_WINDOW: u32 = 4 << 20;

/// How a [`Client`] behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one attempt of a call that returns one message may take; the server gives up then too. None by default.
    pub timeout: Option<Duration>,
    /// How calls are repeated that the server could not take.
    pub retry: RetryPolicy,
    /// How long a watched job may be out of reach, as while the server restarts.
    pub reconnect_for: Duration,
    /// Largest message, in bytes, in either direction.
    pub max_message_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: None,
            retry: RetryPolicy::default(),
            reconnect_for: Duration::from_mins(1),
            max_message_bytes: 1 << 30,
        }
    }
}

/// A client of one latentd server. Cloning is cheap, and clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) channel: Channel,
    pub(crate) options: Options,
}

impl Client {
    /// Connects to `address`: `host`, `host:port`, or `http://host:port`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the address cannot be parsed, `Unavailable` if nobody answers there.
    pub async fn connect(address: &str) -> Result<Self> {
        Self::connect_with(address, Options::default()).await
    }

    /// Connects to `address` with other options than the default ones.
    pub async fn connect_with(address: &str, options: Options) -> Result<Self> {
        let url = url(address)?;
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|error| invalid(address, &error.to_string()))?
            .user_agent(concat!("latentd-client/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| invalid(address, &error.to_string()))?
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(4 * STREAM_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = endpoint.connect().await.map_err(|error| {
            let cause = root_cause(&error);
            Error::local(
                Code::Unavailable,
                format!("cannot connect to {url}: {cause}"),
            )
        })?;
        Ok(Self { channel, options })
    }

    /// A request with the timeout of the options.
    pub(crate) fn request<Q>(&self, message: Q) -> tonic::Request<Q> {
        let mut request = tonic::Request::new(message);
        if let Some(timeout) = self.options.timeout {
            request.set_timeout(timeout);
        }
        request
    }
}

/// The generated client of one service, with the message sizes of the options.
macro_rules! stub {
    ($client:expr, $module:ident :: $stub:ident) => {{
        let limit = $client.options.max_message_bytes;
        latentd_proto::v1::$module::$stub::new($client.channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }};
}
pub(crate) use stub;

fn invalid(address: &str, why: &str) -> Error {
    Error::local(
        Code::InvalidArgument,
        format!("`{address}` is not an address: {why}"),
    )
}

/// The address as a URL with a port.
fn url(address: &str) -> Result<String> {
    let rest = match address.split_once("://") {
        None => address,
        Some(("http", rest)) => rest.trim_end_matches('/'),
        Some(("https", _)) => {
            return Err(invalid(
                address,
                "the server has no TLS yet; use `http://`, through `ssh -N -L 50051:127.0.0.1:50051 user@server` if \
                 it is on another machine",
            ));
        }
        Some((scheme, _)) => {
            return Err(invalid(
                address,
                &format!("`{scheme}` is not supported, only `http`"),
            ));
        }
    };
    if rest.is_empty() || rest.contains('/') {
        return Err(invalid(
            address,
            "expected `host:port` or `http://host:port`",
        ));
    }
    // A bare IPv6 address has several colons and no brackets; with a port it must have brackets.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .map_err(|_| invalid(address, "the port is not a number below 65536"))?,
    };
    Ok(format!("http://{host}:{port}"))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_urls() {
        for (given, expected) in [
            ("localhost", "http://localhost:50051"),
            ("localhost:7", "http://localhost:7"),
            ("http://10.0.0.1:80/", "http://10.0.0.1:80"),
            ("::1", "http://[::1]:50051"),
            ("[::1]", "http://[::1]:50051"),
            ("[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(url(given).unwrap(), expected, "{given}");
        }
        for bad in [
            "",
            "http://",
            "https://host:1",
            "host:port",
            "host:70000",
            "host/path",
        ] {
            assert_eq!(url(bad).unwrap_err().code, Code::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn tls_is_not_there_and_the_error_says_so() {
        let error = url("https://host:1").unwrap_err();
        assert!(error.message.contains("no TLS yet"), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable() {
        let error = Client::connect("127.0.0.1:1").await.unwrap_err();
        assert!(error.is_connection());
        assert!(
            error
                .message
                .starts_with("cannot connect to http://127.0.0.1:1: "),
            "{error}"
        );
    }
}
