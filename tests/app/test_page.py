"""The page's files: what they import is there, what they ask for is a route, and none leads elsewhere."""

import re
from pathlib import Path

import pytest

from app.routes.operations import STATIC

FILES = sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html"))
MODULES = [path for path in FILES if path.suffix == ".js"]


def name(path: Path) -> str:
    return str(path.relative_to(STATIC))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_its_job_and_imports_what_is_there(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// ")
    for wanted, module in re.findall(r'import \{([^}]*)\} from "([^"]+)"', text):
        exported = re.findall(r"export (?:async )?(?:function\*?|const|class) (\w+)", (path.parent / module).read_text())
        for each in filter(None, (part.strip() for part in wanted.split(","))):
            assert each in exported, (each, module)
            assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{each} is imported and not used"
    for module in re.findall(r'import\("([^"]+)"\)', text):
        assert (path.parent / module).is_file()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_text_goes_in_as_text(path: Path) -> None:
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(\"style", path.read_text()
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_names_no_other_host_and_styles_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"https?://([^/\"'\s)]+)", text)) <= {"www.w3.org"}, "the name of SVG's vocabulary is no request"
    assert not re.findall(r"<style|\sstyle=|<script>|\son\w+=", text)


def test_colours_are_named_once_for_light_and_once_for_dark() -> None:
    tokens = (STATIC / "css/tokens.css").read_text()
    light, dark = (set(re.findall(r"(--[\w-]+): (?:#|none|0)", half)) for half in tokens.split("@media"))
    assert dark >= light - {"--radius", "--shadow"}
    for path in STATIC.rglob("*.css"):
        used = set(re.findall(r"var\((--[\w-]+)", path.read_text()))
        assert used <= light | {"--share", "--zoom", "--shadow", "--radius"}, name(path)


def imports(path: Path) -> set[Path]:
    """A module and all that it cannot start without."""
    direct = {(path.parent / module).resolve() for module in re.findall(r'from "([^"]+)"', path.read_text())}
    return {path.resolve()}.union(*(imports(each) for each in direct))


def test_the_modules_of_the_first_view_are_fetched_at_once() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="static/([^"]+)"', (STATIC / "index.html").read_text())
    assert {STATIC / each for each in preloaded} == imports(STATIC / "js/predict/index.js")
