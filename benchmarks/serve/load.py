"""One round of load: wrk on a core of its own, and what the server's processes spent on it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Request:
    """What is sent, again and again."""

    path: str
    headers: dict[str, str]
    body: bytes

    def write_script(self, folder: Path, name: str) -> Path:
        """A script for wrk, and the body beside it."""
        (folder / f"{name}.body").write_bytes(self.body)
        headers = "".join(f"wrk.headers[{key!r}] = {value!r}\n" for key, value in self.headers.items())
        script = folder / f"{name}.lua"
        script.write_text(
            f'wrk.method = "POST"\n{headers}local file = io.open("{folder}/{name}.body", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
        )
        return script


@dataclass(frozen=True)
class Round:
    """What wrk saw, and what the server spent."""

    requests_per_second: float
    p50: float  # milliseconds
    p99: float
    cpu: float  # microseconds a request, of all the server's processes
    failed: bool


def run(script: Path, url: str, connections: int, seconds: float, core: int, server: int) -> Round:
    """Load `url` for some seconds."""
    before = cpu_seconds(server)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(["taskset", "-c", str(core), *command], capture_output=True, text=True, check=True)
    spent, text = cpu_seconds(server) - before, done.stdout
    count = int(_first(r"(\d+) requests in", text))
    rate = float(_first(r"Requests/sec:\s+([\d.]+)", text))
    failed = "Non-2xx" in text or "Socket errors" in text or not count
    return Round(rate, _milliseconds("50%", text), _milliseconds("99%", text), 1e6 * spent / max(count, 1), failed)


def cpu_seconds(process: int) -> float:
    """What a process and all its descendants have spent so far."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        spent[int(entry.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
    return sum(seconds for each, seconds in spent.items() if _descends(each, process, parents))


def _descends(process: int, ancestor: int, parents: dict[int, int]) -> bool:
    while process not in (0, ancestor):
        process = parents.get(process, 0)
    return process == ancestor


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "0"


def _milliseconds(quantile: str, text: str) -> float:
    found = re.search(rf"^\s+{quantile}\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
