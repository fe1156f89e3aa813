"""Paths that want out of their folder: in addresses, in the names of uploaded files, in what a version or a job is called."""

import itertools
import string

import pytest

from tests.support.attacks import BEARER, Target, status_of
from tests.support.pictures import encode, grey

SECRETS = ("def create_app", "root:x:", "ROOKIE_TOKEN", "SQLite format")  # what files beside ours begin with or hold
ROOTS = ("/static/", "/docs/assets/", "/weights/", "/samples/", "/models/", "/train/", "/")
UPWARDS = (
    "../main.py",
    "..%2fmain.py",
    "%2e%2e/main.py",
    "%2e%2e%2fmain.py",
    "..%5cmain.py",
    "..\\main.py",
    "%252e%252e%252fmain.py",
    "....//main.py",
    ".%00./main.py",
    "%c0%ae%c0%ae/main.py",
    "css/../../main.py",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "../" * 12 + "etc/passwd",
    "%2e%2e%2f" * 12 + "etc%2fpasswd",
    "file:///etc/passwd",
    "..;/main.py",
    "main.py%00.css",
    "..%ef%bc%8fmain.py",
    "~root/.bashrc",
    "C:%5cWindows%5cwin.ini",
    "%" * 20,
    "%zz",
    "\u202egnp.1",
    "x" * 5000,
)
ADDRESSES = [root + path for root, path in itertools.product(ROOTS, UPWARDS)]
FILE_NAMES = [
    "../../../tmp/evil.png",
    "/etc/cron.d/evil",
    "..\\..\\evil.png",
    "a\0b.png",
    "",
    " ",
    ".",
    "..",
    "C:\\evil",
    "x" * 5000,
    "$(id)",
    "|id",
    "<b>",
]


@pytest.mark.parametrize("root", ROOTS)
def test_no_address_leads_out_of_its_folder(unharmed: Target, root: str) -> None:
    for path in UPWARDS:
        request = f"GET {root}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        answer = unharmed.send(request)
        assert status_of(answer) in (400, 404, 414), path
        assert not any(secret.encode() in answer for secret in SECRETS), path


def test_an_address_in_another_form_leads_nowhere_else(unharmed: Target) -> None:
    for target in (
        "http://127.0.0.1/readyz",
        "http://example.org/readyz",
        "//example.org/readyz",
        "*",
        "readyz",
        "?",
        "\\readyz",
        "/readyz\t",
    ):
        answer = unharmed.send(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert status_of(answer) in (200, 400, 404), target
        assert b"location:" not in answer.lower()


def test_no_folder_is_listed(unharmed: Target) -> None:
    for path in ("/static", "/static/", "/static/js", "/static/js/", "/docs/assets", "/docs/assets/"):
        answer = unharmed.client.get(path, follow_redirects=True)
        assert answer.status_code == 404
        assert ".js" not in answer.text


@pytest.mark.parametrize("name", FILE_NAMES)
def test_the_name_of_an_uploaded_file_means_nothing(unharmed: Target, name: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n--x--\r\n'
    content = body % (name.encode(), encode(grey()))
    before = sorted(unharmed.settings.state_dir.rglob("*"))
    answer = unharmed.client.post("/predict", content=content, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (200, 422)
    assert "evil" not in answer.text
    assert sorted(unharmed.settings.state_dir.rglob("*")) == before


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
def test_what_is_no_number_names_no_version_and_no_job(unharmed: Target, method: str) -> None:
    names = (
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "9" * 5000,
        "1'--",
        "1;DROP TABLE models",
        "%27%20OR%201=1",
        "NaN",
        "\u0661",
        "1%00",
        "%ff",
        "{}",
        "null",
    )
    for kind, name in itertools.product(("models", "train", "weights/w1", "v2/models/fashion-mnist/versions"), names):
        answer = unharmed.client.request(method, f"/{kind}/{name}", headers=BEARER)
        assert 400 <= answer.status_code < 500 or (kind, name, method) == ("weights/w1", "0", "GET"), (kind, name)
    assert unharmed.client.get("/models").json()["current"] == 1


def test_every_character_may_stand_in_a_query(unharmed: Target) -> None:
    for first, second in itertools.product(
        [*string.punctuation.replace("#", ""), "%FF", "%C3%9C", "%00", "%zz"], ("", "%FF", "%C3%9C", "&")
    ):
        answer = unharmed.client.get(f"/samples?limit=1&{first}={second}")
        assert answer.status_code in (200, 400, 422), (first, second)
