"""Who imports whom: tests -> app -> model_core -> numpy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PICTURE_MODULES = {"images.py", "photo.py", "resize.py", "webp.py", "webp_decoder.py"}  # of app: the only ones that know Pillow
CORE, APP = sorted((ROOT / "model_core").rglob("*.py")), sorted((ROOT / "app").rglob("*.py"))
MORE = {  # what single modules of model_core may use beside NumPy: none of them is loaded by `import model_core`
    "__main__.py": {"typer", "rich"},
    "console.py": {"typer", "rich"},
    "experiments.py": {"typer", "rich"},
    "report.py": {"matplotlib"},
    "export.py": {"onnx"},
}


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a source file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0] if not node.level else path.relative_to(ROOT).parts[0]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CORE, ids=name)
def test_model_core_imports_numpy_the_standard_library_and_itself_only(path: Path) -> None:
    allowed = {"model_core", "numpy", *sys.stdlib_module_names, *MORE.get(path.name, ())}
    assert set(imported(path)) <= allowed


@pytest.mark.parametrize("path", APP, ids=name)
def test_app_imports_no_tests_and_only_its_image_modules_know_pillow(path: Path) -> None:
    forbidden = {"tests", "benchmarks", "typer", "rich"} | ({"PIL"} if path.name not in PICTURE_MODULES else set())
    assert not set(imported(path)) & forbidden


def test_importing_model_core_loads_nothing_of_the_service_or_the_command_line() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import sys, model_core; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {module.partition(".")[0] for module in listed.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & {"app", "typer", "rich", "PIL", "fastapi", "starlette", "pydantic", "sqlalchemy", "matplotlib"}
