"""Parts of a machine that some tests need. Where one is absent its tests are skipped, or with `--require` fail."""

from typing import NoReturn

import pytest

PARTS = ("browser", "conformance", "container", "data", "onnx", "postgres", "schema", "tmpfs", "torch")


def required(config: pytest.Config) -> list[str]:
    """The parts that `--require` names."""
    return [part for part in str(config.getoption("--require")).split(",") if part]


def absent(config: pytest.Config, part: str, reason: str) -> NoReturn:
    """Skip the test that needs `part`, or fail it where that part is required."""
    if part in required(config):
        pytest.fail(f"--require {part}: {reason}", pytrace=False)
    pytest.skip(reason)
