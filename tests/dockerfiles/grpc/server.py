from concurrent import futures

import grpc
import scorer_pb2
import scorer_pb2_grpc


class Scorer(scorer_pb2_grpc.ScorerServicer):
    def Predict(self, request, context):
        return scorer_pb2.Score(value=sum(request.values))


server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
scorer_pb2_grpc.add_ScorerServicer_to_server(Scorer(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    stub = scorer_pb2_grpc.ScorerStub(channel)
    print("score", stub.Predict(scorer_pb2.Features(values=[1, 2, 4]), timeout=30).value)
server.stop(0)
