"""/v2: bodies that tritonclient does not send, and every malformed one that we can think of. tests/conformance has the real client."""

import dataclasses
import gzip
import json
import struct
import threading
import zlib
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.open_inference import body
from app.open_inference.request import DATATYPES
from app.settings import Settings
from model_core import network
from tests.support import tiny
from tests.support.service import add_version, client_of

INFER = "/v2/models/fashion-mnist/infer"
IMAGE = tiny.test_images().images[:1]
EXPECTED = tiny.model().predict_proba(IMAGE)[0]
NESTED = IMAGE[:, None].tolist()
FLAT = IMAGE.ravel().tolist()


def document(**changes: Any) -> dict[str, Any]:
    """A request for one picture, with fields of its input changed."""
    return {"inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": NESTED, **changes}]}


def binary(array: np.ndarray[Any, Any], kind: str, **changes: Any) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request whose pixels follow the JSON."""
    raw = array.tobytes()
    tensor = {"name": "image", "shape": list(array.shape), "datatype": kind, "parameters": {"binary_data_size": len(raw)}, **changes}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, {"Inference-Header-Content-Length": str(len(head))}


def infer(client: TestClient, content: Any, **headers: str) -> httpx2.Response:
    """Send a document, or bytes as they are."""
    sent = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(INFER, content=sent, headers={name.replace("_", "-"): text for name, text in headers.items()})


def assert_refused(answer: httpx2.Response, status: int, words: str) -> None:
    body = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/json"
    assert body["error"] == body["detail"]
    assert words in body["error"]


def assert_answers(answer: httpx2.Response) -> None:
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    np.testing.assert_allclose(output["data"], EXPECTED, atol=1e-5)


@pytest.mark.parametrize("content_type", [None, "application/json", "application/octet-stream", "text/plain", "x"])
def test_any_content_type_or_none_is_read(client: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert_answers(client.post(INFER, content=json.dumps(document()).encode(), headers=headers))


@pytest.mark.parametrize("data", [NESTED, FLAT, [float(value) for value in FLAT]], ids=["nested", "flat", "whole floats"])
@pytest.mark.parametrize("shape", [[1, 1, 28, 28], [1, 784], [1, 28, 28]], ids=str)
def test_data_comes_flat_or_nested_as_its_shape(client: TestClient, data: Any, shape: list[int]) -> None:
    nested = np.reshape(FLAT, shape).tolist() if data is NESTED else data
    assert_answers(infer(client, document(data=nested, shape=shape)))


def test_many_pictures_come_as_one_list_of_numbers(client: TestClient) -> None:
    images = tiny.test_images().images
    (output,) = infer(client, document(data=images.ravel().tolist(), shape=[len(images), 784])).json()["outputs"]
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), tiny.model().predict_proba(images), atol=1e-5)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_is_read_in_json_and_binary(client: TestClient, datatype: str) -> None:
    image = np.minimum(IMAGE, 127) if datatype == "INT8" else IMAGE
    expected = tiny.model().predict_proba(image)[0]
    content, headers = binary(image.astype(DATATYPES[datatype]), datatype)
    for answer in (
        client.post(INFER, content=content, headers=headers),
        infer(client, document(datatype=datatype, data=image.ravel().tolist())),
    ):
        np.testing.assert_allclose(answer.json()["outputs"][0]["data"], expected, atol=1e-5)


def test_fractions_of_pixel_values_are_taken_as_they_are(client: TestClient) -> None:
    halves = np.minimum(IMAGE.reshape(1, 784) + 0.5, 255).astype(np.float32)
    content, headers = binary(halves, "FP32")
    found = client.post(INFER, content=content, headers=headers).json()["outputs"][0]["data"]
    model = tiny.model()
    x = model.standardizer.apply(halves)
    np.testing.assert_allclose(found, network.predict_proba(model.parameters, x)[0], atol=1e-5)


@pytest.mark.parametrize(("given", "echoed"), [("a", "a"), ("", ""), (7, "7"), ("7" * 300, "7" * 300)])
def test_an_id_comes_back_as_a_string(client: TestClient, given: Any, echoed: str) -> None:
    assert infer(client, {**document(), "id": given}).json()["id"] == echoed


def test_without_an_id_there_is_none_in_the_answer(client: TestClient) -> None:
    answer = infer(client, document()).json()
    assert answer.keys() == {"model_name", "model_version", "outputs"}
    assert (answer["model_name"], answer["model_version"]) == ("fashion-mnist", "1")


def test_an_answer_in_binary_follows_its_json(client: TestClient) -> None:
    answer = infer(client, {**document(), "parameters": {"binary_data_output": True}})
    length = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.content[:length])
    assert head["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "parameters": {"binary_data_size": 40}}]
    np.testing.assert_allclose(np.frombuffer(answer.content[length:], "<f4"), EXPECTED, atol=1e-5)
    assert answer.headers["content-type"] == "application/octet-stream"


def test_an_outputs_own_wish_goes_before_the_requests(client: TestClient) -> None:
    outputs = [{"name": "probabilities", "parameters": {"binary_data": False}}]
    assert_answers(infer(client, {**document(), "outputs": outputs, "parameters": {"binary_data_output": True}}))


@pytest.mark.parametrize("count", [1, 3, 10, 11, 10**6])
def test_classes_come_by_likelihood_in_binary_as_in_json(client: TestClient, count: int) -> None:
    outputs = [{"name": "probabilities", "parameters": {"classification": count}}]
    (plain,) = infer(client, {**document(), "outputs": outputs}).json()["outputs"]
    outputs[0]["parameters"]["binary_data"] = True  # type: ignore[index]
    answer = infer(client, {**document(), "outputs": outputs})
    tensor, texts = answer.content[int(answer.headers["inference-header-content-length"]) :], []
    while tensor:
        (length,) = struct.unpack_from("<I", tensor)
        texts.append(tensor[4 : 4 + length].decode())
        tensor = tensor[4 + length :]
    assert plain["data"] == texts
    assert (plain["datatype"], plain["shape"]) == ("BYTES", [1, min(count, 10)])
    assert [int(text.split(":")[1]) for text in texts] == np.argsort(-EXPECTED)[:count].tolist()


def test_a_raw_binary_request_is_pixels_alone(client: TestClient) -> None:
    answer = infer(client, IMAGE.tobytes(), Inference_Header_Content_Length="0")
    assert_answers(answer)
    assert_refused(infer(client, IMAGE.tobytes()[1:], Inference_Header_Content_Length="0"), 400, "bytes follow")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip", "identity", "GZIP"])
def test_packed_bodies_are_read(client: TestClient, encoding: str) -> None:
    plain = json.dumps(document()).encode()
    packed = plain if encoding == "identity" else zlib.compress(plain) if encoding == "deflate" else gzip.compress(plain)
    assert_answers(infer(client, packed, Content_Encoding=encoding))


def test_a_packed_body_is_unpacked_off_the_event_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack, threads = body.unpack, []

    def noted(*arguments: Any) -> bytes | bytearray:
        threads.append(threading.current_thread().name)
        return unpack(*arguments)

    monkeypatch.setattr(body, "unpack", noted)
    assert_answers(infer(client, gzip.compress(json.dumps(document()).encode()), Content_Encoding="gzip"))
    assert [name.rpartition("_")[0] for name in threads] == ["inference"]


@pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/repository/models/fashion-mnist/load"])
def test_a_repository_request_unpacks_to_no_more_than_a_plain_one_may_have(client: TestClient, path: str) -> None:
    most = Settings.body_bytes
    for size, status in ((most, 200), (most + 1, 413)):
        answer = client.post(path, content=gzip.compress(b" " * size), headers={"Content-Encoding": "gzip"})
        assert answer.status_code == status


BOMB = gzip.compress(b"\0" * 70 * 2**20)
BAD: dict[str, tuple[Any, dict[str, str], int, str]] = {
    "empty": (b"", {}, 400, "parse"),
    "no json": (b"pixels", {}, 400, "parse"),
    "a list": (b"[]", {}, 400, "object"),
    "null": (b"null", {}, 400, "object"),
    "nesting 1,000 deep": (b"[" * 1000 + b"]" * 1000, {}, 400, "parse"),
    "nesting 1,000 deep in the data": (document(data=json.loads("[" * 100 + "1" + "]" * 100)), {}, 400, "nested"),
    "nesting without end": (b"[" * 10**6, {}, 413, "binary tensor"),
    "a million names": (b"{" + b'"x":0,' * 10**6 + b'"y":0}', {}, 413, "binary tensor"),
    "three million numbers": (b'{"inputs":[' + b"0," * 3 * 10**6 + b"0]}", {}, 413, "binary tensor"),
    "a million lists": (b'{"inputs":[' + b"[]," * 10**6 + b"[]]}", {}, 413, "binary tensor"),
    "nan": (json.dumps(document(data=[float("nan")] * 784, datatype="FP32")).encode(), {}, 400, "parse"),
    "infinity": (json.dumps(document(data=[float("inf")] * 784, datatype="FP32")).encode(), {}, 400, "parse"),
    "bad text": (b'{"inputs": "\xff\xfe"}', {}, 400, "parse"),
    "no inputs": ({}, {}, 400, "no 'inputs'"),
    "inputs null": ({"inputs": None}, {}, 400, "no 'inputs'"),
    "inputs an object": ({"inputs": {}}, {}, 400, "list"),
    "no input": ({"inputs": []}, {}, 400, "expected 1 inputs but got 0"),
    "two inputs": ({"inputs": document()["inputs"] * 2}, {}, 400, "expected 1 inputs but got 2"),
    "an input that is a number": ({"inputs": [1]}, {}, 400, "object"),
    "another name": (document(name="picture"), {}, 400, "unexpected inference input 'picture'"),
    "a name that is a list": (document(name=[]), {}, 400, "'name'"),
    "no shape": (document(shape=None), {}, 400, "no 'shape'"),
    "an empty shape": (document(shape=[]), {}, 400, "784"),
    "no rows": (document(shape=[0, 784]), {}, 400, "shape"),
    "sizes without end": (document(shape=[1] * 20_000), {}, 400, "a shape of 20000 sizes"),
    "a negative size": (document(shape=[-1, 784]), {}, 400, "shape"),
    "two negative sizes": (document(shape=[1, -28, -28]), {}, 400, "shape"),
    "a huge size": (document(shape=[10**30, 784]), {}, 400, "shape"),
    "too many rows": (document(shape=[Settings.batch_rows + 1, 784]), {}, 413, "batch-size must be <="),
    "a size that is a truth": (document(shape=[True, 784]), {}, 400, "shape"),
    "a size that is a fraction": (document(shape=[1.0, 784]), {}, 400, "shape"),
    "a hundred sizes": (document(shape=[1] * 100 + [784]), {}, 400, "shape"),
    "a shape of other pictures": (document(shape=[1, 3, 32, 32]), {}, 400, "784"),
    "no datatype": (document(datatype=None), {}, 400, "no 'datatype'"),
    "strings": (document(datatype="BYTES"), {}, 400, "'BYTES'"),
    "an unknown datatype": (document(datatype="uint8"), {}, 400, "reads UINT8"),
    "a datatype that is a number": (document(datatype=8), {}, 400, "'datatype'"),
    "no data": (document(data=None), {}, 400, "no 'data'"),
    "data a string": (document(data="x" * 784), {}, 400, "'data'"),
    "too little data": (document(data=FLAT[:-1]), {}, 400, "783 values"),
    "too much data": (document(data=[*FLAT, 0]), {}, 400, "785 values"),
    "empty data": (document(data=[]), {}, 400, "0 values"),
    "nested otherwise": (document(data=[FLAT]), {}, 400, "nested"),
    "nested and flat mixed": (document(data=[[1] * 28, *FLAT[28:]]), {}, 400, "nested"),
    "flat and nested mixed": (document(data=[1, *([[1] * 28] * 27), *([1] * 27)] * 15, shape=[1, 784]), {}, 400, "values"),
    "a ragged row": (document(data=[[[[0] * 28] * 27 + [[0] * 27]]]), {}, 400, "nested"),
    "text for numbers": (document(data=["1"] * 784), {}, 400, "no numbers"),
    "text behind many numbers": (document(shape=[100, 784], data=[0] * 78_399 + ["1"]), {}, 400, "no numbers"),
    "truths for numbers": (document(data=[True] * 784), {}, 400, "no numbers"),
    "nothing for numbers": (document(data=[None] * 784), {}, 400, "no numbers"),
    "objects for numbers": (document(data=[{}] * 784), {}, 400, "no numbers"),
    "a number beyond bounds": (document(data=[10**400] * 784), {}, 400, ""),
    "a float beyond bounds": (json.dumps(document(data=[7] * 784, datatype="FP64")).replace("7,", "1e999,").encode(), {}, 400, ""),
    "fractions as whole numbers": (document(data=[0.5] * 784), {}, 400, "fractions"),
    "pixels over 255": (document(data=[256] * 784), {}, 400, "0..255"),
    "pixels under 0": (document(data=[-1] * 784, datatype="INT16"), {}, 400, "0..255"),
    "standardised pixels": (document(data=[-0.5] * 784, datatype="FP32"), {}, 400, "0..255"),
    "data and binary size": (document(parameters={"binary_data_size": 784}), {}, 400, "both"),
    "a binary size without bytes": (
        {"inputs": [{"name": "image", "shape": [1, 784], "datatype": "UINT8", "parameters": {"binary_data_size": 784}}]},
        {},
        400,
        "need 784",
    ),
    "shared memory": (document(parameters={"shared_memory_region": "x"}), {}, 400, "shared memory"),
    "parameters a list": (document(parameters=[]), {}, 400, "'parameters'"),
    "an id that is a list": ({**document(), "id": []}, {}, 400, "'id'"),
    "an id without end": ({**document(), "id": "x" * 1001}, {}, 400, "1001 characters"),
    "an id that is a truth": ({**document(), "id": True}, {}, 400, "'id'"),
    "outputs a string": ({**document(), "outputs": "probabilities"}, {}, 400, "'outputs'"),
    "another output": ({**document(), "outputs": [{"name": "logits"}]}, {}, 400, "unexpected inference output 'logits'"),
    "an output twice": ({**document(), "outputs": [{"name": "probabilities"}] * 2}, {}, 400, "2 outputs"),
    "classes below one": (
        {**document(), "outputs": [{"name": "probabilities", "parameters": {"classification": 0}}]},
        {},
        400,
        "1 or more",
    ),
    "classes in words": (
        {**document(), "outputs": [{"name": "probabilities", "parameters": {"classification": "3"}}]},
        {},
        400,
        "classification",
    ),
    "a header length over the body": (document(), {"Inference-Header-Content-Length": "99999999"}, 400, "counts the bytes"),
    "a header length under zero": (document(), {"Inference-Header-Content-Length": "-1"}, 400, "counts the bytes"),
    "a header length in words": (document(), {"Inference-Header-Content-Length": "all"}, 400, "counts the bytes"),
    "a header length without end": (document(), {"Inference-Header-Content-Length": "1" * 5000}, 400, "counts the bytes"),
    "a header length amid the json": (document(), {"Inference-Header-Content-Length": "20"}, 400, "parse"),
    "bytes that nobody claims": (
        json.dumps(document()).encode() + b"xx",
        {"Inference-Header-Content-Length": str(len(json.dumps(document())))},
        400,
        "follow",
    ),
    "another encoding": (document(), {"Content-Encoding": "br"}, 400, "gzip or deflate"),
    "no gzip": (document(), {"Content-Encoding": "gzip"}, 400, "is not gzip"),
    "gzip cut short": (gzip.compress(json.dumps(document()).encode())[:-20], {"Content-Encoding": "gzip"}, 400, "cut short"),
    "gzip with more behind": (gzip.compress(json.dumps(document()).encode()) + b"more", {"Content-Encoding": "gzip"}, 400, "after its end"),
    "gzip with megabytes behind": (gzip.compress(b"{}") + bytes(60 * 2**20), {"Content-Encoding": "gzip"}, 400, "after its end"),
    "a bomb": (BOMB, {"Content-Encoding": "gzip"}, 413, "unpacks to more"),
    "long json": (b'{"x": "' + b"x" * (17 * 2**20) + b'"}', {}, 413, "binary tensor"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_body_is_refused_with_the_reason(client: TestClient, name: str) -> None:
    content, headers, status, words = BAD[name]
    assert_refused(infer(client, content, **headers), status, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": {"binary_data_size": 783}}, "784"),
        ({"parameters": {"binary_data_size": -784}}, "784"),
        ({"parameters": {"binary_data_size": 10**30}}, "784"),
        ({"parameters": {"binary_data_size": 784.0}}, "'binary_data_size'"),
        ({"parameters": {"binary_data_size": True}}, "'binary_data_size'"),
        ({"parameters": {}}, "no 'binary_data_size'"),
        ({"shape": [2, 784]}, "1568"),
        ({"datatype": "FP32"}, "3136"),
    ],
    ids=str,
)
def test_binary_data_that_is_not_what_its_json_says_is_refused(client: TestClient, changes: dict[str, Any], words: str) -> None:
    content, headers = binary(IMAGE, "UINT8", **changes)
    assert_refused(client.post(INFER, content=content, headers=headers), 400, words)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1, 255.5, 3e38])
def test_binary_pixels_that_are_none_are_refused(client: TestClient, value: float) -> None:
    spoiled = IMAGE.astype(np.float32)
    spoiled[0, 14, 14] = value
    content, headers = binary(spoiled, "FP32")
    assert_refused(client.post(INFER, content=content, headers=headers), 400, "0..255")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("models/resnet", 404, "Request for unknown model: 'resnet' is not found"),
        ("models/fashion-mnist/versions/7", 404, "Request for unknown model: 'fashion-mnist' version 7 is not found"),
        ("models/fashion-mnist/versions/0", 400, "integral value > 0"),
        ("models/fashion-mnist/versions/-1", 400, "integral value > 0"),
        ("models/fashion-mnist/versions/one", 400, "integral value > 0"),
        (f"models/fashion-mnist/versions/{'9' * 5000}", 404, "is not found"),
    ],
)
def test_an_unknown_model_or_version_is_refused_in_tritons_words(
    client: TestClient, method: str, path: str, status: int, words: str
) -> None:
    for end in ("/infer",) if method == "POST" else ("", "/ready", "/config", "/stats"):
        assert_refused(client.request(method, f"/v2/{path}{end}", content=json.dumps(document()).encode()), status, words)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from([[1, 784], FLAT, "UINT8", "image"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "shape", "data", "binary_data_size", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), json_values),
    st.dictionaries(st.text(), json_values),
)
@settings(max_examples=300, deadline=None)
def test_no_json_at_all_makes_a_server_error(shared: TestClient, tensor: dict[str, Any], around: dict[str, Any]) -> None:
    assert infer(shared, {**document(**tensor), **around}).status_code in (200, 400, 413)


@given(st.binary(max_size=200), st.sampled_from(["", "gzip", "deflate"]), st.integers(0, 250))
@settings(max_examples=200, deadline=None)
def test_no_bytes_at_all_make_a_server_error(shared: TestClient, content: bytes, encoding: str, length: int) -> None:
    answer = infer(shared, content, Content_Encoding=encoding, Inference_Header_Content_Length=str(length))
    assert answer.status_code in (400, 413)


@pytest.fixture(scope="module")
def shared(client: TestClient) -> TestClient:
    """The shared service, for tests that run many times."""
    return client


def test_metadata_answers_with_and_without_a_slash(client: TestClient) -> None:
    assert client.get("/v2").json() == client.get("/v2/").json()
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"ready": true}'])
def test_the_index_takes_an_empty_body(client: TestClient, content: bytes) -> None:
    assert client.post("/v2/repository/index", content=content).json() == [{"name": "fashion-mnist", "version": "1", "state": "READY"}]


@pytest.mark.parametrize(
    "how", [{"version": 2}, {"version": "2"}, {"config": '{"version_policy": {"specific": {"versions": [2]}}}'}], ids=str
)
def test_load_activates_the_version_that_it_names(own_client: TestClient, settings: Settings, how: dict[str, Any]) -> None:
    add_version(settings, tiny.model())
    path = "/v2/repository/models/fashion-mnist/load"
    assert own_client.post(path).json() == {"name": "fashion-mnist", "version": "1"}
    assert own_client.post(path, json={"parameters": how}).json() == {"name": "fashion-mnist", "version": "2"}
    assert infer(own_client, document()).json()["model_version"] == "2"
    states = [(entry["version"], entry["state"]) for entry in own_client.post("/v2/repository/index").json()]
    assert states == [("1", "UNAVAILABLE"), ("2", "READY")]
    assert_refused(own_client.post("/v2/models/fashion-mnist/versions/1/infer", json=document()), 404, "version 1 is not found")


@pytest.mark.parametrize(
    ("parameters", "status", "words"),
    [
        ({"version": 9}, 404, "no version 9"),
        ({"version": True}, 400, "whole number"),
        ({"version": "9" * 5000}, 400, "whole number"),
        ({"version": "0" * 10 + "1" + "9" * 20}, 400, "whole number"),
        ({"version": "0" * 10 + "9" * 5000}, 400, "whole number"),
        ({"version": 10**4000}, 400, "whole number"),
        ({"version": 2**31}, 400, "whole number"),
        ({"version": 0}, 400, "whole number"),
        ({"version": "0" * 5000}, 400, "whole number"),
        ({"version": "0" * 5000 + "9"}, 404, "no version 9"),
        ({"version": "1\n"}, 400, "whole number"),
        ({"version": "\u0661"}, 400, "whole number"),
        ({"version": 1.0}, 400, "whole number"),
        ({"config": '{"version_policy": {"specific": {"versions": [' + "9" * 5000 + "]}}}"}, 400, "must be JSON"),
        ({"config": '{"version_policy": {"specific": {"versions": ["' + "0" * 10 + "1" + "9" * 20 + '"]}}}'}, 400, "whole number"),
        ({"version": [1]}, 400, "whole number"),
        ({"config": "{"}, 400, "must be JSON"),
        ({"config": '{"version_policy": {"specific": {"versions": [1, 2]}}}'}, 400, "must be JSON"),
        ({"config": '{"version_policy": {"specific": {"versions": "1"}}}'}, 400, "must be JSON"),
        ({"config": '{"version_policy": {"specific": {"versions": {"1": 2}}}}'}, 400, "must be JSON"),
        ({"config": '{"version_policy": []}'}, 400, "must be JSON"),
        ({"file:1/model.npz": "AAAA"}, 400, "POST /models"),
        ([], 400, "'parameters'"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_load_that_names_nothing_that_is_there_is_refused(client: TestClient, parameters: Any, status: int, words: str) -> None:
    assert_refused(client.post("/v2/repository/models/fashion-mnist/load", json={"parameters": parameters}), status, words)


def test_unload_is_refused(client: TestClient) -> None:
    assert_refused(client.post("/v2/repository/models/fashion-mnist/unload"), 400, "never without a model")


def test_inference_is_open_and_loading_needs_the_token(settings: Settings) -> None:
    with client_of(dataclasses.replace(settings, token="t" * 16)) as client:
        assert_answers(infer(client, document()))
        assert client.post("/v2/repository/index").status_code == 200
        assert client.post("/v2/repository/models/fashion-mnist/load").status_code == 401
