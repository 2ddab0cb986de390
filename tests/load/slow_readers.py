"""StreamExamples: 100 clients ask for many examples of every latent and take one message. Promised: the server grows by less than
600 MB, and another client is answered."""

import grpc
from _server import D_SAE, SAE, Peak, Server, mb
from latentd.v1 import cache_pb2 as pb
from latentd.v1 import cache_pb2_grpc

READERS = 100


def main() -> None:
    with Server() as server:
        server.load_small()
        server.client.wait(server.client.build_cache([SAE], [server.corpus(6000)], cache_id="c", context_length=32))
        request = pb.StreamExamplesRequest(
            cache="c", range=pb.LatentRange(start=0, end=D_SAE), mode=pb.EXAMPLE_MODE_RANDOM, count=1000, window=32
        )
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 28)]
        with Peak(server) as peak:
            channels = [grpc.insecure_channel(server.address, options) for _ in range(READERS)]
            calls = [cache_pb2_grpc.CacheServiceStub(channel).StreamExamples(request) for channel in channels]
            for call in calls:
                next(call)
            last = sum(1 for _ in cache_pb2_grpc.CacheServiceStub(channels[0]).StreamExamples(request))
        assert last == D_SAE + 1, last
        for call in calls:
            call.cancel()
        assert peak.grown < 600e6, peak.grown
        print(f"slow_readers: {READERS} readers of up to 1000 examples a latent, +{mb(peak.grown)}")


if __name__ == "__main__":
    main()
