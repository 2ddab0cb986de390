//! As much of HTTP/1.1 as the endpoint for tests needs, and the ways to break it.

use std::{collections::BTreeMap, io, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Answer, Request, State};
use crate::provider::limit;

/// Serves connections until it is dropped, and they with it.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // A client that goes away is no concern of the endpoint.
            drop(connection(stream, &state).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let body = request.body.clone();
        let mut answer = state.answer(request);
        while let Answer::Later(wait, then) = answer {
            tokio::time::sleep(wait).await;
            answer = *then;
        }
        match answer {
            Answer::Chat(text) => {
                let reply = reply(200, &[], &chat(&body, &text).to_string());
                stream.write_all(reply.as_bytes()).await?;
            }
            Answer::Reply {
                status,
                headers,
                body,
            } => {
                stream
                    .write_all(reply(status, &headers, &body).as_bytes())
                    .await?;
            }
            Answer::Half => {
                let whole = reply(200, &[], &chat(&body, "an answer").to_string());
                let half = whole.len() - 20;
                stream
                    .write_all(whole.as_bytes().get(..half).unwrap_or_default())
                    .await?;
                return stream.shutdown().await;
            }
            Answer::Close => return Ok(()),
            Answer::Hang | Answer::Later(..) => std::future::pending().await,
        }
    }
    Ok(())
}

/// The next request; `None` when the client is done.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let length = headers.get("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request {
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }))
}

fn reply(status: u16, headers: &[(&str, String)], body: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} .\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value.as_str(), "\r\n"]);
    }
    let length = body.len();
    format!("{head}content-length: {length}\r\n\r\n{body}")
}

/// A reply of chat completions.
fn chat(request: &Value, text: &str) -> Value {
    let message = json!({ "role": "assistant", "content": text });
    json!({
        "object": "chat.completion",
        "model": request.get("model"),
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": {
            "prompt_tokens": limit::tokens(request.to_string().len()),
            "completion_tokens": limit::tokens(text.len()),
        },
    })
}
