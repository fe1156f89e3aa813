"""python -m benchmarks.serve.idle: seconds from start to ready, and the memory of an idle worker with the shipped model."""

import resource
import statistics
import tempfile
import time
from pathlib import Path

from app.settings import Settings
from tests.support.service import free_port, server

ROOT = Path(__file__).parents[2]
ROUNDS = 7


def main() -> None:
    """Measure and print."""
    starts, sizes = zip(*(measure() for _ in range(ROUNDS)), strict=True)
    median = statistics.median(starts)
    print(f"start to ready, {ROUNDS} starts: median {median:.2f} s, fastest {min(starts):.2f}, slowest {max(starts):.2f}")
    print(f"resident memory of the idle worker: {statistics.median(sizes):.0f} MB")


def measure() -> tuple[float, float]:
    """Seconds until /readyz answers, from an empty state folder; then MB resident."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(port=free_port(), state_dir=Path(folder) / "state", model=ROOT / "weights" / "rookie.npz")
        began = time.perf_counter()
        with server(settings, Path(folder) / "log") as (process, _):
            seconds = time.perf_counter() - began
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            return seconds, pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
