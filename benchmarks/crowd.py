"""How long a probe waits while a crowd reads at once: `python -m benchmarks.crowd` (docs/security.md, "What gave way").

For each path: the longest wait of /livez, the time until all are answered (medians of the rounds), and the server's peak memory.
"""

import asyncio
import re
import statistics
import tempfile
import time
from pathlib import Path

from app.settings import Settings
from tests.support.service import free_port, server

ROUNDS = 5
CROWDS = (("/models/1", 100), ("/metrics", 40), ("/models/1/weights.npz", 100))


def main() -> None:
    """Start a server with the shipped model, and print a line for each crowd."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder), port=free_port(), training_slots=0)
        with server(settings, Path(folder) / "log") as (process, _):
            for path, count in CROWDS:
                rounds = [asyncio.run(_round(settings.port, path, count)) for _ in range(ROUNDS)]
                probe, answered = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(f"{count:4} x {path:22} /livez {probe:.3f} s  all {answered:.2f} s  peak {_peak_mebibytes(process.pid)} MiB")


async def _round(port: int, path: str, count: int) -> tuple[float, float]:
    """The longest wait of a probe, and how long all took: seconds."""
    waits: list[float] = []
    probing = asyncio.create_task(_probe(port, waits))
    await asyncio.sleep(0.1)
    began = time.perf_counter()
    await asyncio.gather(*(_get(port, path) for _ in range(count)))
    took = time.perf_counter() - began
    probing.cancel()
    return max(waits), took


async def _probe(port: int, waits: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await _get(port, "/livez")
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)


async def _get(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    while await reader.read(2**18):
        pass
    writer.close()


def _peak_mebibytes(pid: int) -> int:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) // 1024


if __name__ == "__main__":
    main()
