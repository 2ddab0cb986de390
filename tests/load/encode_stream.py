"""EncodeStream: 100 000 batches of one prompt from plain gRPC that writes as fast as it may, and a reader that pauses; and 60 calls of
one connection that write ahead while nobody reads. Promised: no call is cut, others go on, and memory stays bounded."""

import os
import time

import grpc
from _server import SAE, Peak, Server, mb
from latentd.v1 import activation_pb2 as pb
from latentd.v1 import activation_pb2_grpc, server_pb2, server_pb2_grpc

BATCHES = int(os.environ.get("LOAD_BATCHES", "100000"))
CALLS = 60


def requests(count: int):
    request = pb.EncodeRequest(prompts=[pb.Prompt(text="word")], saes=[SAE])
    return (pb.EncodeStreamRequest(id=index, request=request) for index in range(count))


def main() -> None:
    with Server() as server:
        server.load_small()
        channel = grpc.insecure_channel(server.address)
        stub = activation_pb2_grpc.ActivationServiceStub(channel)
        info = server_pb2_grpc.ServerServiceStub(channel)
        with Peak(server) as one:
            replies = stub.EncodeStream(requests(BATCHES))
            time.sleep(3)
            info.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=10)
            done = 0
            for reply in replies:
                done += reply.WhichOneof("event") == "result"
                if done % 10_000 == 0:
                    time.sleep(1)
        assert done == BATCHES, done
        with Peak(server) as many:
            calls = [stub.EncodeStream(requests(2500)) for _ in range(CALLS)]
            time.sleep(10)
            info.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=30)
            done = sum(sum(1 for _ in call) for call in calls)
        assert done == CALLS * 2501, done
        assert one.grown < 256e6, one.grown
        assert many.grown < 512e6, many.grown
        print(f"encode_stream: {BATCHES} batches, +{mb(one.grown)}; {CALLS} calls of 2500, +{mb(many.grown)}; none cut")


if __name__ == "__main__":
    main()
