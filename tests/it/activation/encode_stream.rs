//! EncodeStream: order, errors in the midst, the summary.

use std::time::Duration;

use futures::{StreamExt, stream};
use latentd_client::{EncodeRequest, Prompt};
use latentd_proto::v1::{
    self as pb, activation_service_client::ActivationServiceClient, encode_stream_response::Event,
    server_service_client::ServerServiceClient,
};
use tonic::transport::Endpoint;

use crate::harness::{
    corpus::prose,
    server::{SAE, small},
};

#[tokio::test(flavor = "multi_thread")]
async fn results_come_in_order_and_an_error_does_not_end_the_stream() {
    let server = small().await;
    let requests: Vec<EncodeRequest> = (0..20u64)
        .map(|index| match index {
            7 => EncodeRequest::new(Vec::<Prompt>::new(), SAE),
            11 => EncodeRequest::new(["text"], "small/nothing"),
            _ => EncodeRequest::new([prose(index, 2 + index as usize % 5)], SAE),
        })
        .collect();
    let mut results = server
        .client
        .encode_stream(stream::iter(requests.clone()))
        .await
        .unwrap();
    let mut seen = 0;
    while let Some(batch) = results.next().await {
        let batch = batch.unwrap();
        let index = batch.index as usize;
        assert_eq!(index, seen);
        seen += 1;
        match (index, batch.result) {
            (7, Err(error)) => assert_eq!(error.reason, "EMPTY_BATCH"),
            (11, Err(error)) => {
                assert_eq!(error.reason, "UNKNOWN_SAE");
                assert!(error.message.contains("loaded: "), "{}", error.message);
            }
            (_, Ok(encoded)) => {
                let alone = server.client.encode(requests[index].clone()).await.unwrap();
                assert_eq!(encoded.first().rows, alone.first().rows);
            }
            (_, Err(error)) => panic!("batch {index}: {error}"),
        }
    }
    let summary = results.summary().expect("the last message is a summary");
    assert_eq!((seen, summary.succeeded, summary.failed), (20, 18, 2));
}

/// Requests of one word each, every one in a frame of its own, as gRPC for Python sends them.
fn each_in_its_frame(count: u64) -> impl stream::Stream<Item = pb::EncodeStreamRequest> {
    stream::iter(0..count).then(async |id| {
        tokio::task::yield_now().await;
        let prompt = pb::Prompt {
            content: Some(pb::prompt::Content::Text("word".to_owned())),
        };
        let request = pb::EncodeRequest {
            prompts: vec![prompt],
            saes: vec![SAE.to_owned()],
            ..pb::EncodeRequest::default()
        };
        pb::EncodeStreamRequest {
            id,
            request: Some(request),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_writes_far_ahead_is_held_back_and_not_cut() {
    const BATCHES: u64 = 20_000;
    let server = small().await;
    let address = format!("http://{}", server.address());
    let channel = Endpoint::from_shared(address).unwrap().connect().await;
    let channel = channel.unwrap();
    let replies = ActivationServiceClient::new(channel.clone())
        .encode_stream(each_in_its_frame(BATCHES))
        .await;
    let mut replies = replies.unwrap().into_inner();
    // Nobody reads: what the client has written fills every window.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let info = ServerServiceClient::new(channel)
        .get_server_info(pb::GetServerInfoRequest {})
        .await;
    assert!(
        info.is_ok(),
        "other calls on the connection go on: {info:?}"
    );
    let mut seen = 0;
    while let Some(reply) = replies.next().await {
        match reply.unwrap().event {
            Some(Event::Result(result)) => assert_eq!(result.id, seen),
            Some(Event::Summary(summary)) => assert_eq!(summary.succeeded, BATCHES),
            None => panic!("a reply without an event"),
        }
        seen += 1;
    }
    assert_eq!(seen, BATCHES + 1);
}
