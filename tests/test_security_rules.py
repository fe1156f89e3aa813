"""Each exception from ruff's security rules stands where it is made, with its reason."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("app", "model_core", "tests", "benchmarks", "examples") for path in sorted((ROOT / folder).rglob("*.py"))]
EXCEPTIONS = [
    (path.relative_to(ROOT), line.strip())
    for path in SOURCES
    for line in path.read_text().splitlines()
    if re.search(r"#\s*noqa:[^(]*\bS\d{3}", line)
]


def test_the_rules_are_on() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in rules["select"]
    assert {rule for rule in rules["ignore"] if rule.startswith("S")} == {"S603", "S607"}  # whose reasons stand beside them


def test_there_are_a_few() -> None:
    assert 0 < len(EXCEPTIONS) < 20


@pytest.mark.parametrize(("path", "line"), EXCEPTIONS, ids=str)
def test_an_exception_says_why(path: Path, line: str) -> None:
    assert re.search(r"# noqa: [A-Z0-9, ]+ \(.{5,}\)", line), f"{path}: {line}"
