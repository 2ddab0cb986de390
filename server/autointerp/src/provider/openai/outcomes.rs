//! What becomes of a call in every way that an endpoint can fail: the table that the pages of the reasons state.

use std::{collections::BTreeMap, time::Duration};

use latentd_domain::{Reason, autointerp::Capabilities};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{OpenAi, OpenAiConfig};
use crate::{
    Reply,
    call::Exchanged,
    provider::{
        Again, CallError, Provider,
        faults::{Answer, Endpoint, Fault},
        retry::{self, Policy},
        scripted::chat,
    },
};

const KEY: &str = "sk-secret-key";

fn provider(base_url: String) -> OpenAi {
    OpenAi::new(OpenAiConfig {
        base_url,
        model: "fake".to_owned(),
        key: Some(SecretString::from(KEY)),
        timeout: Duration::from_millis(300),
        capabilities: Capabilities::default(),
        max_tokens: 512,
    })
    .unwrap()
}

fn quick() -> Policy {
    Policy {
        first_wait: Duration::from_millis(1),
        ..Policy::default()
    }
}

async fn outcome(endpoint: &Endpoint) -> Result<Exchanged, CallError> {
    let provider = provider(endpoint.base_url());
    retry::call(&provider, &chat("hello"), "key", quick()).await
}

/// What an outcome is: sends, and where it ends.
#[derive(Debug, PartialEq, Eq)]
enum Ends {
    Answered,
    Failed(Reason),
    BackInQueue(Reason),
}

fn expected(fault: Fault) -> (usize, Ends) {
    use Ends::{Answered, BackInQueue, Failed};
    match fault {
        Fault::Unauthorized => (1, Failed(Reason::ProviderUnauthorized)),
        Fault::NotFound => (1, Failed(Reason::ProviderNotFound)),
        Fault::Rejected => (1, Failed(Reason::ProviderRejected)),
        Fault::RateLimitedFor | Fault::RateLimited => (3, BackInQueue(Reason::ProviderRateLimited)),
        Fault::RateLimitedForLong => (1, BackInQueue(Reason::ProviderRateLimited)),
        Fault::Failed => (3, Failed(Reason::ProviderFailed)),
        Fault::Overloaded | Fault::Half | Fault::Closed => {
            (3, BackInQueue(Reason::ProviderUnreachable))
        }
        Fault::Html | Fault::BrokenJson | Fault::OtherJson | Fault::NoChoice => {
            (3, Failed(Reason::ProviderMalformedReply))
        }
        Fault::TwoChoices | Fault::Refusal => (1, Answered),
        Fault::Hang => (3, Failed(Reason::ProviderTimeout)),
    }
}

#[tokio::test]
async fn every_fault_has_its_outcome() {
    let each = Fault::ALL.map(async |fault| {
        let endpoint = Endpoint::start(move |request| fault.answer(request))
            .await
            .unwrap();
        let result = outcome(&endpoint).await;
        let ends = match &result {
            Ok(_) => Ends::Answered,
            Err(error) => match error.again {
                Again::Never => Ends::Failed(error.reason),
                Again::After(_) => Ends::BackInQueue(error.reason),
                Again::Soon => panic!("{fault:?}: not an outcome"),
            },
        };
        assert_eq!(
            (endpoint.requests().len(), ends),
            expected(fault),
            "{fault:?}: {result:?}"
        );
        let text = format!("{result:?}");
        assert!(!text.contains(KEY), "{text}");
        assert_eq!(endpoint.sends().len(), 1, "tries have one key");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_waited_for() {
    let provider = provider(Endpoint::down().await.unwrap());
    let error = retry::call(&provider, &chat("hello"), "key", quick())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::ProviderUnreachable);
    assert!(matches!(error.again, Again::After(_)), "{error:?}");
    assert!(error.detail.contains("no connection"), "{error}");
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let endpoint = Endpoint::start(|request| Fault::RateLimitedFor.answer(request))
        .await
        .unwrap();
    let provider = provider(endpoint.base_url());
    let (call, policy) = (chat("hello"), quick());
    let began = Instant::now();
    let (result, ()) = tokio::join!(retry::call(&provider, &call, "key", policy), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        endpoint.set(|_| Answer::Chat("hello".to_owned()));
    });
    assert!(result.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_failure_of_a_moment_is_not_seen() {
    let endpoint = Endpoint::start(|_| Answer::Close).await.unwrap();
    let failed = std::sync::atomic::AtomicBool::new(false);
    endpoint.set(move |request| {
        if failed.swap(true, std::sync::atomic::Ordering::SeqCst) {
            Answer::Chat("hello".to_owned())
        } else {
            Fault::Failed.answer(request)
        }
    });
    let exchanged = outcome(&endpoint).await.unwrap();
    let Reply::Chat(answer) = exchanged.reply else {
        panic!("{exchanged:?}");
    };
    assert_eq!(answer.text, "hello");
    assert!(exchanged.usage.prompt_tokens > 0 && exchanged.usage.completion_tokens > 0);
}

#[tokio::test]
async fn what_is_sent() {
    let endpoint = Endpoint::start(|_| Answer::Chat("hello".to_owned()))
        .await
        .unwrap();
    outcome(&endpoint).await.unwrap();
    let requests = endpoint.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!((request.key(), request.question()), ("key", "hello"));
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.body["model"], "fake");
}

/// 256 calls in flight to an endpoint that answers in a second: how many calls a second? Run in release mode.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test: takes 20 seconds"]
async fn calls_a_second() {
    use crate::provider::limit::{Limited, Limiter};
    use latentd_domain::autointerp::Limits;
    use std::sync::Arc;

    let wait = Duration::from_secs(1);
    let endpoint = Endpoint::start(move |_| Answer::Chat("hello".to_owned()).later(wait))
        .await
        .unwrap();
    let config = OpenAiConfig {
        base_url: endpoint.base_url(),
        model: "fake".to_owned(),
        key: None,
        timeout: Duration::from_secs(30),
        capabilities: Capabilities::default(),
        max_tokens: 512,
    };
    let limits = Limits {
        max_in_flight: 256,
        ..Limits::default()
    };
    let provider: Arc<dyn Provider> = Arc::new(OpenAi::new(config).unwrap());
    let limited = Limited::new(provider, Arc::new(Limiter::new(limits)));
    let question = "x".repeat(4000);
    let calls = 256 * 20;
    let began = Instant::now();
    let one = async |index: usize| {
        let key = format!("key {index}");
        retry::call(&limited, &chat(&question), &key, Policy::default())
            .await
            .unwrap();
    };
    futures::future::join_all((0..calls).map(one)).await;
    let seconds = began.elapsed().as_secs_f64();
    let counts: BTreeMap<_, _> = endpoint.sends();
    assert_eq!(counts.len(), calls);
    println!(
        "{calls} calls in {seconds:.2} s: {:.1} calls/s",
        calls as f64 / seconds
    );
}
