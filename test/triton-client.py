"""python test/triton-client.py HOST:PORT: Triton's own client against a running `axle serve --grpc`.

Not part of the suite, which needs nothing of Python. Says so, and ends with 0, where the client is not installed.
"""

import sys
import threading

try:
    import numpy
    import tritonclient.grpc as triton
except ImportError as error:
    print(f"skipped: {error}; pip install 'tritonclient[grpc]'")
    sys.exit(0)

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("mlp")
assert client.get_server_metadata().name == "axle"
assert list(client.get_model_metadata("mlp").inputs[0].shape) == [-1, 1, 32, 32]
assert client.get_model_config("mlp").config.max_batch_size == 64
assert "mlp" in [model.name for model in client.get_model_repository_index().models]

image = triton.InferInput("image", [2, 1, 32, 32], "FP32")
image.set_data_from_numpy(numpy.full((2, 1, 32, 32), 0.5, numpy.float32))
answer = client.infer("mlp", [image], request_id="7", priority=1, timeout=10_000_000)
assert answer.get_response().id == "7" and answer.as_numpy("scores").shape == (2, 34)
compressed = client.infer("mlp", [image], compression_algorithm="gzip")
assert (compressed.as_numpy("scores") == answer.as_numpy("scores")).all()
classes = [triton.InferRequestedOutput("scores", class_count=2)]
assert client.infer("mlp", [image], outputs=classes).as_numpy("scores").shape == (2, 2)

assert client.get_log_settings().settings["log_info"].bool_param
assert client.update_log_settings({"log_verbose_level": 1}).settings["log_verbose_level"].uint32_param == 1
assert client.get_trace_settings().settings["trace_mode"].value[0] == "opentelemetry"

told = []
done = threading.Event()


def tell(result, error):
    told.append(result.get_response().id if error is None else "refused")
    if len(told) == 4:
        done.set()


client.start_stream(tell)
for model, request_id in [("mlp", "a"), ("nothing", "b"), ("mlp", "c"), ("mlp", "d")]:
    client.async_stream_infer(model, [image], request_id=request_id)
assert done.wait(30)
client.stop_stream()
assert told == ["a", "refused", "c", "d"], told

statistics = client.get_inference_statistics("mlp").model_stats[0]
assert statistics.inference_count >= 12 and statistics.inference_stats.success.count >= 6


def refused(call, status):
    try:
        call()
    except triton.InferenceServerException as error:
        assert error.status() == f"StatusCode.{status}", error
        return
    raise AssertionError(f"not refused with {status}")


refused(lambda: client.infer("nothing", [image]), "NOT_FOUND")
refused(lambda: client.infer("mlp", [image], sequence_id=5), "UNIMPLEMENTED")
refused(lambda: client.update_trace_settings(settings={"trace_rate": "10"}), "UNIMPLEMENTED")
refused(lambda: client.load_model("mlp"), "UNIMPLEMENTED")
print("passed")
