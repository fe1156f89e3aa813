"""The README keeps its promises: its commands run, its tables are complete."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import errors
from app.main import create_app
from app.settings import FIELDS, Settings
from tests.support.browser import MOST_SCREENSHOT_BYTES
from tests.support.service import free_port, server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```(?:\n+```(?:json|text)\n(.*?)^```)?", README, re.MULTILINE | re.DOTALL)
LIVE = [(commands, output) for commands, output in BLOCKS if "127.0.0.1:8000/" in commands]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[str]:
    """Host and port of a real server with the shipped model and an empty database; it trains on the tiny dataset."""
    folder = tmp_path_factory.mktemp("readme")
    settings = Settings(port=free_port(), state_dir=folder, data_dir=tiny_folder, model=ROOT / "weights/rookie.npz")
    with server(settings, folder / "log"):
        yield f"127.0.0.1:{settings.port}"


def test_the_readmes_commands_run_in_order_and_answer_as_it_shows(address: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert len(LIVE) >= 5
    for commands, promised in LIVE:
        script = "set -e\n" + commands.replace("127.0.0.1:8000", address).replace("curl ", "curl --fail-with-body ")
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        if promised:
            assert what_stays(promised) == what_stays(done.stdout), commands


def what_stays(output: str) -> object:
    """What an output always says: a JSON answer's names and label, a picture's name and type. Figures and digests change."""
    if '"links"' in output or '"label"' in output:
        # The last answer of a block is the one that the README shows.
        answer = json.loads(re.split(r"(?<=})(?={)", output.replace("\n", ""))[-1])
        return answer.get("label"), answer.keys()
    return re.findall(r"^[\w-]+\.png: image/png", output, re.MULTILINE)


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_in_the_readme_with_its_default(name: str) -> None:
    default = FIELDS[name].default
    shown = "" if default in (None, (), "") else f"`{int(default) if isinstance(default, bool) else default}`"
    assert f"| `{name}` | {shown} | {FIELDS[name].metadata['help']} |" in README


@pytest.mark.parametrize("name", sorted(re.findall(r"\]\(([\w/-]+\.(?:webp|png|svg))\)", README)))
def test_every_picture_that_the_readme_shows_is_there_and_small(name: str) -> None:
    assert 1_000 < (ROOT / name).stat().st_size <= MOST_SCREENSHOT_BYTES


def test_every_route_is_in_the_readme() -> None:
    listed = set(re.findall(r"`([A-Z]+ /[^`]*)`", README))
    routes = {f"{method.upper()} {path}" for path, operations in create_app(Settings()).openapi()["paths"].items() for method in operations}
    assert routes <= listed


@pytest.mark.parametrize("problem", errors.Problem.__subclasses__(), ids=lambda problem: problem.code)
def test_every_error_code_is_in_the_readme_with_its_status(problem: type[errors.Problem]) -> None:
    assert f"| `{problem.code}` | {problem.status} |" in README
