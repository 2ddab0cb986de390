//! EncodeStream: order, errors in the midst, the summary.

use futures::{StreamExt, stream};
use latentd_client::{EncodeRequest, Prompt};

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
