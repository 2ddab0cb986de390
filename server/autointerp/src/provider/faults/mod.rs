//! An HTTP endpoint for tests: answers from a function, counts what it is sent, and fails in every way that endpoints fail.

mod capable;
mod server;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

pub use capable::capable;

/// What an endpoint was sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Path, such as `/v1/chat/completions`.
    pub path: String,
    /// Headers, with their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body; null if it is no JSON.
    pub body: Value,
}

impl Request {
    /// The `Idempotency-Key`; empty without one.
    pub fn key(&self) -> &str {
        self.headers
            .get("idempotency-key")
            .map_or("", String::as_str)
    }

    /// The last message of the conversation; empty if it is none.
    pub fn question(&self) -> &str {
        let messages = self.body.get("messages").and_then(Value::as_array);
        let last = messages.and_then(|messages| messages.last());
        let content = last.and_then(|message| message.get("content"));
        content.and_then(Value::as_str).unwrap_or("")
    }
}

/// What an endpoint does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Answers a conversation with this text.
    Chat(String),
    /// Sends this reply.
    Reply {
        /// Status.
        status: u16,
        /// More headers.
        headers: Vec<(&'static str, String)>,
        /// Body.
        body: String,
    },
    /// Sends half of a reply and closes the connection.
    Half,
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
    /// Waits, and then does something else.
    Later(Duration, Box<Answer>),
}

impl Answer {
    /// A reply with a body and no more headers.
    pub fn reply(status: u16, body: impl Into<String>) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A reply of JSON.
    pub fn json(body: &Value) -> Self {
        Self::reply(200, body.to_string())
    }

    /// Waits first.
    #[must_use]
    pub fn later(self, wait: Duration) -> Self {
        Self::Later(wait, Box::new(self))
    }
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 401, and the key is repeated.
    Unauthorized,
    /// 404 for the model.
    NotFound,
    /// 400.
    Rejected,
    /// 429 with Retry-After of a second.
    RateLimitedFor,
    /// 429 with Retry-After of ten minutes.
    RateLimitedForLong,
    /// 429 without Retry-After.
    RateLimited,
    /// 500.
    Failed,
    /// 503, as while a model is loaded.
    Overloaded,
    /// Half a body.
    Half,
    /// The connection is closed without a reply.
    Closed,
    /// HTML with status 200.
    Html,
    /// JSON that breaks off, with status 200.
    BrokenJson,
    /// JSON of another API.
    OtherJson,
    /// A reply without an answer in it.
    NoChoice,
    /// A reply with two answers in it.
    TwoChoices,
    /// The model refuses, in the field for that.
    Refusal,
    /// No answer, ever.
    Hang,
}

impl Fault {
    /// Every way.
    pub const ALL: [Fault; 17] = [
        Self::Unauthorized,
        Self::NotFound,
        Self::Rejected,
        Self::RateLimitedFor,
        Self::RateLimitedForLong,
        Self::RateLimited,
        Self::Failed,
        Self::Overloaded,
        Self::Half,
        Self::Closed,
        Self::Html,
        Self::BrokenJson,
        Self::OtherJson,
        Self::NoChoice,
        Self::TwoChoices,
        Self::Refusal,
        Self::Hang,
    ];

    /// What an endpoint with this fault does with `request`.
    pub fn answer(self, request: &Request) -> Answer {
        let error = |status, message: &str| {
            Answer::reply(
                status,
                json!({ "error": { "message": message } }).to_string(),
            )
        };
        let limited = |seconds: &str| Answer::Reply {
            status: 429,
            headers: vec![("retry-after", seconds.to_owned())],
            body: json!({ "error": { "message": "slow down" } }).to_string(),
        };
        match self {
            Self::Unauthorized => {
                let key = request.headers.get("authorization");
                let key = key.map_or("none", String::as_str);
                error(401, &format!("the key is wrong: {key}"))
            }
            Self::NotFound => error(404, "the model does not exist"),
            Self::Rejected => error(400, "the prompt is too long"),
            Self::RateLimitedFor => limited("1"),
            Self::RateLimitedForLong => limited("600"),
            Self::RateLimited => error(429, "slow down"),
            Self::Failed => error(500, "something broke"),
            Self::Overloaded => error(503, "the model is being loaded"),
            Self::Half => Answer::Half,
            Self::Closed => Answer::Close,
            Self::Html => Answer::reply(200, "<!doctype html><title>Sign in</title>"),
            Self::BrokenJson => Answer::reply(200, r#"{"choices":[{"message":{"content":"ab"#),
            Self::OtherJson => Answer::reply(200, r#"{"result":"ok"}"#),
            Self::NoChoice => Answer::json(&json!({ "choices": [] })),
            Self::TwoChoices => {
                let choice =
                    |text| json!({ "message": { "content": text }, "finish_reason": "stop" });
                Answer::json(&json!({ "choices": [choice("first"), choice("second")] }))
            }
            Self::Refusal => {
                let message = json!({ "content": null, "refusal": "I will not." });
                Answer::json(
                    &json!({ "choices": [{ "message": message, "finish_reason": "stop" }] }),
                )
            }
            Self::Hang => Answer::Hang,
        }
    }
}

type Answers = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

struct State {
    answers: RwLock<Answers>,
    requests: Mutex<Vec<Request>>,
}

impl State {
    fn answer(&self, request: Request) -> Answer {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answers(&request);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(request);
        answer
    }
}

/// An endpoint on a free port of this machine. It ends when it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
    _server: JoinSet<()>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that answers from a function.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn start(
        answers: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            answers: RwLock::new(Box::new(answers)),
            requests: Mutex::default(),
        });
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _server: server,
        })
    }

    /// Base URL of an endpoint that is down: a port of this machine on which nobody listens.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn down() -> std::io::Result<String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(format!("http://{}/v1", listener.local_addr()?))
    }

    /// Answers from another function from now on.
    pub fn set(&self, answers: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        let mut old = self
            .state
            .answers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *old = Box::new(answers);
    }

    /// Its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it was sent, in order.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.state.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it was sent each `Idempotency-Key`.
    pub fn sends(&self) -> BTreeMap<String, usize> {
        let mut sends = BTreeMap::new();
        for request in self.requests() {
            *sends.entry(request.key().to_owned()).or_default() += 1;
        }
        sends
    }
}
