//! The device computes within the span of the caller.

use std::{
    sync::{Arc, Mutex},
    thread,
};

use tracing::{Instrument, Subscriber, info_span, span::Id, subscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use super::{Bench, encode};

/// Keeps the thread and the name of every span that is entered.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<(String, &'static str)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        let name = context.span(id).unwrap().name();
        self.0.lock().unwrap().push((thread, name));
    }
}

#[tokio::test]
async fn a_lone_caller_s_span_is_entered_on_the_device_thread() {
    let bench = Bench::start().await;
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let _for_this_thread = subscriber::set_default(subscriber);
    let call = bench.handle.encode(encode("s3", &[&[1, 2]]));
    call.instrument(info_span!("caller")).await.unwrap();
    let entered = recorder.0.lock().unwrap().clone();
    assert!(
        entered.contains(&("latentd-device".to_owned(), "caller")),
        "{entered:?}"
    );
}
