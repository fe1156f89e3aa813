"""A page that is watched while a test drives it: console, requests, width, accessibility."""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from PIL import Image

from tests.support.pictures import encode
from tests.support.service import eventually

PHONE, DESKTOP = (360, 740), (1280, 900)


@dataclass(frozen=True)
class Look:
    """How somebody looks at the page."""

    size: tuple[int, int]
    scheme: str

    def __str__(self) -> str:
        return f"{'phone' if self.size == PHONE else 'desktop'}-{self.scheme}"

    def context(self, browser: Any) -> Any:
        """A context of the browser that looks so."""
        (width, height), phone = self.size, self.size == PHONE
        return browser.new_context(viewport={"width": width, "height": height}, color_scheme=self.scheme, has_touch=phone, is_mobile=phone)


LOOKS = [Look(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]
OPPOSITE = [Look(DESKTOP, "light"), Look(PHONE, "dark")]  # between them, both widths and both schemes

README = Path(__file__).parents[2] / "README.md"
SCREENSHOTS = set(re.findall(r"docs/screenshots/([\w-]+)\.webp", README.read_text()))
MOST_SCREENSHOT_BYTES = 60_000
WIDEST_SCREENSHOT = 960


class Watched:
    """A page; leaving it checks that nothing went wrong that the test did not ask for."""

    def __init__(self, context: Any, address: str, look: Look, *, failing: bool = False, path: str = "") -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self._address, self._path, self._failing, self.look = address, path, failing, look
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))

    def __enter__(self) -> Self:
        if not self._failing:
            self.page.goto(self._address + self._path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.assert_fits()
        finally:
            self.page.close()
        if kind is None:
            assert self.errors == []
            assert self.hosts <= {urlsplit(self._address).netloc}

    def assert_fits(self) -> None:
        """The page, as it is now, is no wider than the screen."""
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.look.size[0], "the page is wider than the screen"

    def _heard(self, message: Any) -> None:
        # Of a failing server the browser itself tells the console; that is not the page's error.
        if message.type in ("error", "warning") and not (self._failing and "Failed to load resource" in message.text):
            self.errors.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data"):
            self.hosts.add(parts.netloc)

    def goto(self, path: str = "") -> None:
        """Open a part of the page."""
        self.page.goto(self._address + path)

    def sees(self, text: str) -> None:
        """Wait until the text is to be seen."""
        self.page.get_by_text(text).filter(visible=True).first.wait_for()

    @property
    def answer(self) -> Any:
        """Where the page answers."""
        return self.page.locator("#answer")

    def says(self, label: str) -> None:
        """Wait until the answer's headline is this."""
        self.answer.get_by_role("heading", name=label, exact=True).wait_for()

    def until(self, expression: str) -> None:
        """Wait until it is true in the page. Playwright's own way of waiting is an eval, which the page's policy forbids."""
        assert eventually(lambda: bool(self.page.evaluate(expression)), seconds=20), expression

    def assert_accessible(self) -> None:
        """axe-core finds no violation."""
        from axe_playwright_python.sync_playwright import Axe

        results = Axe().run(self.page)
        assert results.violations_count == 0, results.generate_report()

    def keep(self, folder: Path | None, name: str, top: str = "body") -> None:
        """Write a small screenshot, from the element `top` downwards, where somebody asked for them and the README shows it."""
        if folder is None or f"{name}-{self.look}" not in SCREENSHOTS:
            return
        self.page.evaluate(f"document.querySelector('{top}').scrollIntoView()")
        with Image.open(io.BytesIO(self.page.screenshot())) as whole:
            (folder / f"{name}-{self.look}.webp").write_bytes(small(whole))


def small(picture: Image.Image) -> bytes:
    """The picture as WebP, as good as the bytes that a screenshot may have allow."""
    picture.thumbnail((WIDEST_SCREENSHOT, WIDEST_SCREENSHOT))
    for quality in (60, 45, 30, 15):
        content = encode(picture.convert("RGB"), "WEBP", quality=quality, method=6)
        if len(content) <= MOST_SCREENSHOT_BYTES:
            break
    return content
