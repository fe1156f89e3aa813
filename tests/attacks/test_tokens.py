"""Guessing the token: every guess gets the same refusal, none is told anything, none is in the log."""

import itertools
import time
from collections.abc import Callable

import pytest

from tests.support.attacks import BEARER, TOKEN, Target, status_of

CLOSED = [("POST", "/train"), ("PUT", "/models/current"), ("DELETE", "/models/1"), ("DELETE", "/train/1"), ("POST", "/models")]
GUESSES = 1000
REFUSED = (401, 429)
# Not the token, however it is written.
NEARLY = {
    "nothing": "",
    "no scheme": TOKEN,
    "another scheme": f"Basic {TOKEN}",
    "the scheme alone": "Bearer",
    "without its end": f"Bearer {TOKEN[:-1]}",
    "with more at its end": f"Bearer {TOKEN}x",
    "in capitals": f"Bearer {TOKEN.upper()}",
    "twice": f"Bearer {TOKEN} {TOKEN}",
    "with a comma": f"Bearer {TOKEN}, Bearer {TOKEN}",
    "quoted": f'Bearer "{TOKEN}"',
    "encoded": f"Bearer {TOKEN.replace('-', '%2D')}",
    "of 60 kB": "Bearer " + "x" * 60_000,
    "beyond ASCII": "Bearer \xe4\xf6\xfc",
    "of NUL's neighbours": "Bearer \x01\x02",
}


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_nearly_the_token_is_not_the_token(unharmed: Target, name: str) -> None:
    head = (
        b"DELETE /models/1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: "
        + NEARLY[name].encode("latin-1")
        + b"\r\n\r\n"
    )
    answer = unharmed.send(head)
    assert status_of(answer) in (400, 431, *REFUSED)
    assert TOKEN.encode() not in answer


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_token_in_another_place_is_none(unharmed: Target, method: str, path: str) -> None:
    for headers in ({"Cookie": f"token={TOKEN}"}, {"X-Token": TOKEN}, {"Proxy-Authorization": f"Bearer {TOKEN}"}):
        assert unharmed.client.request(method, path, headers=headers).status_code in REFUSED


def test_a_method_cannot_be_dressed_up_as_another(unharmed: Target) -> None:
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert unharmed.client.get("/models/1", headers={name: "DELETE"}).status_code == 200
        assert unharmed.client.post("/models/1", headers={name: "DELETE"}).status_code in (405, *REFUSED)
    assert unharmed.client.get("/models/current").json()["version"] == 1


@pytest.mark.parametrize(
    "path", ["/TRAIN", "/train/", "//train", "/./train", "/x/../train", "/%74rain", "/train%2f", "/predict/../train", "/train;x"]
)
def test_a_closed_route_has_no_other_name(unharmed: Target, path: str) -> None:
    answer = unharmed.send(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    assert status_of(answer) in (307, 404, 405, *REFUSED)
    assert b'"status":"queued"' not in answer


def test_guesses_are_refused_alike_and_leave_no_trace(unharmed: Target, record_property: Callable[[str, object], None]) -> None:
    seen, began = set(), time.monotonic()
    for number in range(GUESSES):
        answer = unharmed.client.post("/train", headers={"Authorization": f"Bearer guess-{number:026}"})
        assert answer.status_code in REFUSED
        seen.add((answer.status_code, answer.text))
    record_property("guesses a second", round(GUESSES / (time.monotonic() - began)))
    assert len({status for status, _ in seen}) == len(seen), "an answer tells more of one guess than of another"
    log = unharmed.fresh_log()
    assert "guess-" not in log
    assert "Traceback" not in log
    assert unharmed.client.get("/train", headers=BEARER).status_code == 200


def test_how_much_of_a_guess_is_right_cannot_be_told_by_the_time(unharmed: Target) -> None:
    guesses = {"nothing": "x" * len(TOKEN), "all but the end": TOKEN[:-1] + "x"}
    seconds: dict[str, list[float]] = {name: [] for name in guesses}
    for _, (name, guess) in itertools.product(range(300), guesses.items()):
        began = time.perf_counter()
        unharmed.client.post("/train", headers={"Authorization": f"Bearer {guess}"})
        seconds[name].append(time.perf_counter() - began)
    fast = {name: sorted(found)[len(found) // 4] for name, found in seconds.items()}
    assert abs(fast["nothing"] - fast["all but the end"]) < 2e-4  # a byte's comparison takes a billionth of a second
