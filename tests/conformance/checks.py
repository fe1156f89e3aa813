"""What a client of the Open Inference Protocol does with a server: each check is a sentence that holds, or raises.

Run in the environment that has tritonclient: `python checks.py sync|aio ADDRESS INPUTS.npz` prints {check: null or what went wrong}.
The synchronous client is wrapped so that both are awaited.
"""
# ruff: noqa: T201

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

MODEL = "fashion-mnist"
Checks = dict[str, Callable[["Peer"], Awaitable[None]]]


class Peer:
    """A client, the module that it comes from, and pictures with the answers that are due."""

    def __init__(self, module: Any, client: Any, inputs: str) -> None:
        self.module, self.client = module, client
        self.error = __import__("tritonclient.utils", fromlist=["x"]).InferenceServerException
        with np.load(inputs) as arrays:
            self.images, self.expected = arrays["images"], arrays["expected"]

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """The client's method, awaitable in either case."""
        method = getattr(self.client, name)

        async def call(*values: Any, **options: Any) -> Any:
            found = method(*values, **options)
            return await found if asyncio.iscoroutine(found) else found

        return call

    def tensor(self, array: Any, datatype: str, binary: bool = True) -> Any:
        found = self.module.InferInput("image", list(array.shape), datatype)
        found.set_data_from_numpy(array, binary_data=binary)
        return [found]

    def output(self, **options: Any) -> Any:
        return [self.module.InferRequestedOutput("probabilities", **options)]

    async def refusal(self, call: Awaitable[Any]) -> Any:
        try:
            await call
        except self.error as error:
            return error
        raise AssertionError("it was not refused")

    def assert_answers(self, result: Any, count: int) -> None:
        np.testing.assert_allclose(result.as_numpy("probabilities"), self.expected[:count], atol=1e-5)


async def the_server_is_live_and_ready(peer: Peer) -> None:
    assert await peer.is_server_live()
    assert await peer.is_server_ready()


async def the_model_and_its_version_are_ready_and_others_are_not(peer: Peer) -> None:
    assert await peer.is_model_ready(MODEL)
    assert await peer.is_model_ready(MODEL, "1")
    assert not await peer.is_model_ready(MODEL, "99")
    assert not await peer.is_model_ready("resnet")


async def metadata_names_the_extensions_and_tensors(peer: Peer) -> None:
    server = await peer.get_server_metadata()
    assert server["name"] == "rookie"
    assert {"binary_tensor_data", "classification", "model_configuration", "statistics", "model_repository"} <= set(server["extensions"])
    model = await peer.get_model_metadata(MODEL, "1")
    assert model == await peer.get_model_metadata(MODEL)
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}]
    assert model["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]


async def the_configuration_says_how_pictures_lie(peer: Peer) -> None:
    found = await peer.get_model_config(MODEL)
    assert found["max_batch_size"] > 0
    assert found["input"][0]["format"] == "FORMAT_NCHW"
    assert found["input"][0]["dims"] == [1, 28, 28]
    assert found["output"][0]["dims"] == [10]


async def every_shape_and_datatype_in_json_and_binary_gets_the_same_answer(peer: Peer) -> None:
    for shape in ((-1, 1, 28, 28), (-1, 28, 28), (-1, 784), (-1, 28, 28, 1)):
        for kind, datatype in ((np.uint8, "UINT8"), (np.float32, "FP32"), (np.int64, "INT64"), (np.float16, "FP16")):
            for binary in (True, False):
                if binary or datatype != "FP16":  # the client sends no half precision as JSON
                    images = peer.images[:3].reshape(shape).astype(kind)
                    peer.assert_answers(await peer.infer(MODEL, peer.tensor(images, datatype, binary)), 3)


async def outputs_come_as_json_where_that_is_asked_for(peer: Peer) -> None:
    inputs = peer.tensor(peer.images[:2, None], "UINT8")
    result = await peer.infer(MODEL, inputs, outputs=peer.output(binary_data=False))
    assert len(result.get_output("probabilities")["data"]) == 20
    peer.assert_answers(result, 2)
    result = await peer.infer(MODEL, inputs, outputs=peer.output(binary_data=True))
    assert result.get_output("probabilities")["parameters"]["binary_data_size"] == 80
    peer.assert_answers(result, 2)


async def the_answer_carries_the_requests_id_and_the_version(peer: Peer) -> None:
    result = await peer.infer(MODEL, peer.tensor(peer.images[:1, None], "UINT8"), model_version="1", request_id="7")
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("7", MODEL, "1")


async def classes_come_with_value_index_and_label(peer: Peer) -> None:
    for binary in (True, False):
        outputs = peer.output(binary_data=binary, class_count=3)
        found = (await peer.infer(MODEL, peer.tensor(peer.images[:4, None], "UINT8"), outputs=outputs)).as_numpy("probabilities")
        assert found.shape == (4, 3)
        for row, expected in zip(found, peer.expected, strict=False):
            texts = [text.decode() if isinstance(text, bytes) else text for text in row]
            assert [int(text.split(":")[1]) for text in texts] == np.argsort(-expected)[:3].tolist()
            assert abs(float(texts[0].split(":")[0]) - expected.max()) < 1e-5


async def packed_bodies_are_read(peer: Peer) -> None:
    for packing in ("gzip", "deflate"):
        for binary in (True, False):
            inputs = peer.tensor(peer.images[:2, None], "UINT8", binary)
            peer.assert_answers(await peer.infer(MODEL, inputs, request_compression_algorithm=packing), 2)
    packed = await peer.infer(MODEL, peer.tensor(peer.images[:1, None], "UINT8"), response_compression_algorithm="gzip")
    peer.assert_answers(packed, 1)


async def large_batches_are_answered_in_order(peer: Peer) -> None:
    images = np.tile(peer.images, (60, 1, 1))[:3000, None]
    found = (await peer.infer(MODEL, peer.tensor(images, "FP32" if images.dtype == np.float32 else "UINT8"))).as_numpy("probabilities")
    np.testing.assert_allclose(found, np.tile(peer.expected, (60, 1))[:3000], atol=1e-5)


async def statistics_count_what_was_inferred(peer: Peer) -> None:
    before = (await peer.get_inference_statistics(MODEL))["model_stats"][0]
    for _ in range(6):
        await peer.infer(MODEL, peer.tensor(peer.images[:5, None], "UINT8"))
    (after,) = (await peer.get_inference_statistics())["model_stats"]
    assert after["inference_count"] - before["inference_count"] == 30
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 6
    assert after["last_inference"] >= before["last_inference"] > 0


async def the_index_lists_versions_and_load_activates(peer: Peer) -> None:
    index = {entry["version"]: entry["state"] for entry in await peer.get_model_repository_index()}
    assert index == {"1": "READY", "2": "UNAVAILABLE"}
    for version in ("2", "1"):
        await peer.load_model(MODEL, config=json.dumps({"version_policy": {"specific": {"versions": [int(version)]}}}))
        for _ in range(100):  # other processes follow within half a second
            if all([await peer.is_model_ready(MODEL, version) for _ in range(8)]):
                break
            await asyncio.sleep(0.1)
        result = await peer.infer(MODEL, peer.tensor(peer.images[:1, None], "UINT8"), model_version=version)
        assert result.get_response()["model_version"] == version
    await peer.load_model(MODEL)
    assert await peer.is_model_ready(MODEL, "1")


async def unload_is_refused(peer: Peer) -> None:
    assert "never without a model" in (await peer.refusal(peer.unload_model(MODEL))).message()
    assert await peer.is_model_ready(MODEL)


async def refusals_carry_tritons_words(peer: Peer) -> None:
    inputs = peer.tensor(peer.images[:1, None], "UINT8")
    assert "Request for unknown model: 'resnet' is not found" in (await peer.refusal(peer.infer("resnet", inputs))).message()
    assert "version 99 is not found" in (await peer.refusal(peer.infer(MODEL, inputs, model_version="99"))).message()
    assert "integral value" in (await peer.refusal(peer.get_model_metadata(MODEL, "first"))).message()
    wrong = peer.tensor(np.zeros((1, 3), np.float32), "FP32")
    assert "784" in (await peer.refusal(peer.infer(MODEL, wrong))).message()


CHECKS: Checks = {name: found for name, found in list(globals().items()) if asyncio.iscoroutinefunction(found)}  # all that stand above


async def run(peer: Peer) -> dict[str, str | None]:
    """Every check's fault."""
    faults: dict[str, str | None] = {}
    for name, check in CHECKS.items():
        try:
            await check(peer)
            faults[name] = None
        except Exception:
            faults[name] = traceback.format_exc()
    return faults


async def main(kind: str, address: str, inputs: str) -> None:
    """Make the client, and print what was found."""
    module = __import__("tritonclient.http.aio" if kind == "aio" else "tritonclient.http", fromlist=["x"])
    client = module.InferenceServerClient(address)
    peer = Peer(module, client, inputs)
    print(json.dumps(await run(peer)))
    await peer.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
