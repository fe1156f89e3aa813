"""How long a probe waits while a crowd asks at once: `python -m benchmarks.crowd` (docs/security.md).

For each crowd: the longest wait of /livez, the time until all are answered (medians of the rounds), and the server's peak memory.
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

# What each connection sends, and how many there are. Twenty requests of a hundred headers are as many as are read at once.
CROWDS = (
    ("/models/1", 1, 0, 100),
    ("/metrics", 1, 0, 40),
    ("/models/1/weights.npz", 1, 0, 100),
    ("/livez", 20, 98, 8),
    ("/livez", 20, 98, 100),
    ("/livez", 20, 98, 480),
)


def main() -> None:
    """Start a server with the shipped model, and print a line for each crowd."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder), port=free_port(), training_slots=0)
        with server(settings, Path(folder) / "log") as (process, _):
            for path, requests, headers, count in CROWDS:
                sent = _head(path, headers) * (requests - 1) + _head(path, headers, last=True)
                rounds = [asyncio.run(_round(settings.port, sent, count)) for _ in range(ROUNDS)]
                probe, answered = (statistics.median(column) for column in zip(*rounds, strict=True))
                crowd = f"{count:4} x {requests:2} x {path:22}"
                print(f"{crowd} /livez {probe:.3f} s  all {answered:.2f} s  peak {_peak_mebibytes(process.pid)} MiB")


def _head(path: str, headers: int, last: bool = False) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *["a:b"] * headers, *["Connection: close"] * last]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _round(port: int, sent: bytes, count: int) -> tuple[float, float]:
    """The longest wait of a probe, and how long all took: seconds."""
    waits: list[float] = []
    probing = asyncio.create_task(_probe(port, waits))
    await asyncio.sleep(0.1)
    began = time.perf_counter()
    await asyncio.gather(*(_ask(port, sent) for _ in range(count)))
    took = time.perf_counter() - began
    probing.cancel()
    return max(waits), took


async def _probe(port: int, waits: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await _ask(port, _head("/livez", 0, last=True))
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)


async def _ask(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    while await reader.read(2**18):
        pass
    writer.close()


def _peak_mebibytes(pid: int) -> int:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) // 1024


if __name__ == "__main__":
    main()
