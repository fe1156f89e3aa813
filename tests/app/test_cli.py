"""The command line and the client under it, against a real server."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import cli, client
from app.client import DEFAULT_ADDRESS, Client, ClientError
from app.settings import Settings
from tests.support import tiny
from tests.support.garments import PICTURES, label
from tests.support.pictures import encode, grey
from tests.support.service import add_version, free_port, server

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def address(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """Where a server of the test's own listens."""
    settings = dataclasses.replace(settings, port=free_port(), model=ROOT / "weights/rookie.npz", token=TOKEN)
    with server(settings, tmp_path / "log"):
        add_version(settings, tiny.model())
        yield f"http://127.0.0.1:{settings.port}"


def run(address: str, *arguments: str, token: str = TOKEN) -> int | str | None:
    """Run a command; its exit code, or its last words."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--server", address, "--token", token, *arguments])
    return end.value.code


def test_predict_names_what_the_examples_show(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(address, "predict", *map(str, PICTURES)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PICTURES) > 5
    for line, picture in zip(lines, PICTURES, strict=True):
        assert line.startswith(str(picture))
        assert label(picture) in line


def test_predict_goes_on_after_a_file_that_is_no_picture(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    (tmp_path / "b.png").write_bytes(encode(grey()))
    assert run(address, "predict", "--json", str(tmp_path / "a.png"), str(tmp_path / "b.png")) == 1
    bad, good = map(json.loads, capsys.readouterr().out.splitlines())
    assert bad["code"] == "not-an-image"
    assert len(good["probabilities"]) == 10


def test_models_lists_and_activates(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(address, "models") == 0
    assert [line[:9] for line in capsys.readouterr().out.splitlines()[1:]] == ["        2", "*       1"]
    assert run(address, "models", "--activate", "2") == 0
    assert [line[:9] for line in capsys.readouterr().out.splitlines()[1:]] == ["*       2", "        1"]
    assert "no model version 9" in str(run(address, "models", "--activate", "9"))


def test_train_follows_the_job_to_its_end(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    fields = ["--set", "epochs=3", "--set", "hidden=[16,12]", "--set", "augment=none"]
    assert run(address, "train", "--follow", "--promote", "always", *fields) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("] ")[2][:3] for line in lines if line.startswith("[")] == ["1/3", "2/3", "3/3"]
    assert lines[-1].startswith("version 3: test accuracy ")


def test_a_refusal_is_one_line(address: str) -> None:
    assert "ROOKIE_TOKEN" in str(run(address, "train", token="another-token-here"))
    assert "epochs" in str(run(address, "train", "--set", "epochs=none"))
    assert "cannot be reached" in str(run(f"http://127.0.0.1:{free_port()}", "models"))
    assert "no address" in str(run("127.0.0.1", "models"))
    assert "missing.png" in str(run(address, "predict", "missing.png"))


@pytest.mark.parametrize(
    "place",
    [
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:8000/\u00e9",
        "http://127.0.0.1:8000/a b",
        "http://a b/",
        "http://a..b:8000/",
        f"http://{'a' * 64}.example.org/",
        "http://\udcff/",
    ],
    ids=ascii,
)
def test_what_no_service_can_have_as_its_address_is_refused_in_one_line(place: str) -> None:
    last_words = str(run(place, "models"))
    assert last_words == f"rookie: {place!r} is no address of a service; it looks like {DEFAULT_ADDRESS}"


@contextmanager
def answering(kind: str, content: bytes, port: int = 0) -> Iterator[str]:
    """The address of a program that answers everything with that."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 (the library's own words)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Stranger) as stranger:
        threading.Thread(target=lambda: stranger.serve_forever(0.01)).start()
        try:
            yield f"http://127.0.0.1:{stranger.server_port}"
        finally:
            stranger.shutdown()


ANSWERS: dict[str, tuple[str, bytes]] = {
    "a page": ("text/html", b"<!doctype html>"),
    "nothing": ("application/json", b""),
    "another object": ("application/json", b'{"status": "ok"}'),
    "a list": ("application/json", b"[]"),
    "brackets": ("application/json", b"[" * 100_000),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_another_program_at_the_address_is_told_from_a_service(name: str) -> None:
    with answering(*ANSWERS[name]) as place:
        for words in (["models"], ["models", "--activate", "1"], ["predict", str(PICTURES[0])], ["train"], ["train", "--follow"]):
            assert str(run(place, *words)) == f"rookie: what answers at {place} is no Rookie service; --server names another address"
        with pytest.raises(ClientError, match="no Rookie service"):
            next(Client(place).follow(1))


BEYOND = b'{"models": [{"current": true, "validation_accuracy": 1' + b"0" * 400 + b"}]}"
NEARLY: dict[str, tuple[str, bytes, list[str]]] = {
    "answers without anything": ("application/json", b'{"predictions": [{}]}', ["predict", str(PICTURES[0])]),
    "too many answers": ("application/json", b'{"predictions": [{"detail": "x"}, {"detail": "x"}]}', ["predict", str(PICTURES[0])]),
    "versions that are none": ("application/json", b'{"models": [3]}', ["models"]),
    "a score beyond all numbers": ("application/json", BEYOND, ["models"]),
    "a job that is none": ("application/json", b'{"recipe": 3}', ["train"]),
}


@pytest.mark.parametrize("name", NEARLY)
def test_a_service_that_answers_other_things_than_ours_is_told_in_one_line(name: str) -> None:
    kind, content, words = NEARLY[name]
    with answering(kind, content) as place:
        assert str(run(place, *words)).startswith(f"rookie: what answers at {place} is no Rookie service of this version (")


def test_what_a_service_says_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job = {"id": 1, "epochs": 5, "recipe": {"name": "\x1b[2Jquick", "seed": "\x07"}}
    with answering("application/json", json.dumps(job).encode()) as place:
        run(place, "train")
    assert capsys.readouterr().out == r"job 1: 5 epochs of \x1b[2Jquick, seed \x07" + "\n"


def test_a_stream_of_something_else_is_told_and_one_that_breaks_off_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering("text/event-stream", b"data: \xff\n\n") as place, pytest.raises(ClientError, match="no Rookie service"):
        next(Client(place).follow(1))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pause)
    with answering("text/event-stream", b": alive\n\n") as place, pytest.raises(KeyboardInterrupt):
        next(Client(place).follow(1))
    assert pauses == [1.0] * 3


def test_answers_without_measure_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_ANSWER_BYTES", "MOST_LINE_BYTES"):
        monkeypatch.setattr(f"app.client.{name}", 1000)
    with answering("application/json", b" " * 1001) as place, pytest.raises(ClientError, match="more than 1000 bytes"):
        Client(place).models()
    with answering("text/event-stream", b"data: " + b"x" * 1000) as place, pytest.raises(ClientError, match="no Rookie service"):
        next(Client(place).follow(1))


def test_a_service_that_is_started_again_is_followed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 5 and not again:
            again.append(services.enter_context(answering("text/event-stream", b"event: done\nid: 2\ndata: {}\n\n", port)))

    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now))
    again: list[str] = []
    with ExitStack() as services:
        with answering("text/event-stream", b"event: epoch\nid: 1\ndata: {}\n\n") as place:
            port = int(place.rpartition(":")[2])
            events = Client(place).follow(1)
            assert next(events).id == "1"
        assert [event.kind for event in events] == ["done"]
        assert again == [place]


def test_a_service_that_does_not_come_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1.0]
    clock = SimpleNamespace(sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), monotonic=lambda: now[0])
    monkeypatch.setattr(client, "time", clock)
    with answering("text/event-stream", b"event: epoch\nid: 1\ndata: {}\n\n") as place:
        events = Client(place).follow(1)
        assert next(events).id == "1"
    with pytest.raises(ClientError, match="cannot be reached"):
        next(events)
    assert now[0] > client.AWAY_SECONDS


def test_a_service_that_hangs_up_on_an_upload_is_told_from_one_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        listening.settimeout(20)
        hung_up = pool.submit(lambda: listening.accept()[0].close())
        with pytest.raises(ClientError, match=r"bytes were refused half-way .* send less at a time"):
            Client(f"http://127.0.0.1:{listening.getsockname()[1]}").predict(bytes(50_000_000))
        hung_up.result()


def test_a_refusal_without_end_is_one_line() -> None:
    assert client._detail(b"[" * 200_000, "Bad Gateway") == "Bad Gateway"


def test_progress_is_shown_to_nobody_where_there_is_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    cli._progress({"epoch": 1, "train_loss": 1.0, "validation_accuracy": 0.5}, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("command", ["-m app.cli --server {address} models", "-m model_core card {weights}"])
def test_output_that_nobody_takes_is_one_line(address: str, command: str) -> None:
    arguments = command.format(address=address, weights=Path(__file__).parents[2] / "weights" / "rookie.npz").split()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, *arguments], env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.endswith("No space left on device\n")


def test_a_field_of_any_name_reaches_the_service(address: str) -> None:
    assert "self" in str(run(address, "train", "--set", "self=1"))


@pytest.mark.parametrize("token", ["hush\nhush", "h\u00fcsh-hush", "hush\u20ac", "hush hush", "hush\udcff"], ids=ascii)
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(token: str) -> None:
    last_words = str(run(DEFAULT_ADDRESS, "models", token=token))
    assert last_words.startswith("rookie: the token ")
    assert "ROOKIE_TOKEN" in last_words
    assert "hush" not in last_words


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("http://127.0.0.1", "127.0.0.1", 80),
        ("https://127.0.0.1/rookie", "127.0.0.1", 443),
        ("http://[::1]", "::1", 80),
        ("http://[::1]:81", "::1", 81),
    ],
)
def test_an_address_without_a_port_means_that_of_its_scheme(monkeypatch: pytest.MonkeyPatch, place: str, host: str, port: int) -> None:
    asked = []

    def refuse(wanted: tuple[str, int], *_: object) -> None:
        asked.append(wanted)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refuse)
    assert "cannot be reached" in str(run(place, "models"))
    assert asked == [(host, port)]


def test_a_value_without_end_is_a_word() -> None:
    assert cli._field(f"epochs={'[' * 100_000}") == ("epochs", "[" * 100_000)


def test_a_program_gets_answers_and_refusals(address: str) -> None:
    client = Client(address, TOKEN)
    assert client.predict(PICTURES[0].read_bytes())["label"] == label(PICTURES[0])
    with pytest.raises(ClientError, match="not a picture") as refused:
        client.predict(b"text")
    assert refused.value.status == 415
    job = client.train(epochs=2000, hidden=[16, 12])
    assert client.cancel(job["id"])["status"] == "cancelled"
    assert [event.kind for event in client.follow(job["id"])][-1] == "done"


def test_the_client_needs_the_standard_library_only() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import sys, app.cli; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {module.partition(".")[0] for module in listed.stdout.split()}
    assert loaded <= {"app", *sys.stdlib_module_names} | {name for name in loaded if name.startswith("_")}
