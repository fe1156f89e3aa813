"""The ONNX file: another runtime gives our answers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import model_core
from model_core.data import CLASSES
from tests.support import disk, tiny
from tests.support.parts import absent

pytestmark = pytest.mark.onnx
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def needs_onnx(request: pytest.FixtureRequest) -> None:
    """Both packages of the extra."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        absent(request.config, "onnx", f"{error}; install it: pip install '.[onnx]'")
    assert onnx


@pytest.mark.parametrize("source", ["tiny", "shipped"])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_another_runtime_gives_our_answers(tmp_path: Path, source: str, count: int) -> None:
    import onnxruntime

    from model_core import export

    model = tiny.model() if source == "tiny" else model_core.load(ROOT / "weights/rookie.npz")
    export.write_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    images = tiny.test_images().images[:count]
    (probabilities,) = session.run(["probabilities"], {"image": images})
    np.testing.assert_allclose(probabilities, model.predict_proba(images), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(CLASSES)


def test_the_command_line_writes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.onnx"
    command = [sys.executable, "-m", "model_core", "export", "weights/rookie.npz", "--onnx", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout.replace("\n", "")
    assert target.stat().st_size > 2_000_000


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    from model_core import export

    target = tmp_path / "model.onnx"
    export.write_onnx(tiny.model(), target)
    before = target.read_bytes()
    with disk.full(), pytest.raises(OSError, match="too large"):
        export.write_onnx(tiny.model(), target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
