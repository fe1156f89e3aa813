"""Everything at once, for minutes: `make soak` (ARGS="--minutes 1" for less). The exit code is 1 where anything gave way."""

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx2
import numpy as np

import model_core
from app.settings import Settings
from benchmarks.soak.clients import CLIENTS, Step
from benchmarks.soak.notes import Notes
from benchmarks.soak.watch import Sample, Watch, database_faults, growth_faults
from tests.support import tiny
from tests.support.attacks import BEARER, TOKEN
from tests.support.service import ENDED, PATIENCE_SECONDS, eventually, free_port, server

DRAIN_SECONDS = 180.0  # for the jobs that are left at the end
SAMPLES = 200


def main() -> int:
    """Soak, print, and judge."""
    parser = argparse.ArgumentParser(description="Load a server with everything at once and look what gives way.")
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of what the clients do (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rookie-soak-") as folder:
        notes, fifths = soak(Path(folder), 60 * arguments.minutes, arguments.seed)
    print_answers(notes)
    print_fifths(fifths)
    for fault in notes.faults:
        print(f"FAULT {fault}")
    print(f"\n{notes.faults_in_all} faults in {arguments.minutes:g} minutes")
    return 1 if notes.faults_in_all else 0


def soak(folder: Path, seconds: float, seed: int) -> tuple[Notes, list[Sample]]:
    """Run the clients against a server; what they and the watch noted."""
    notes, settings = Notes(), settings_in(folder)
    with server(settings, folder / "log") as (process, client):
        watch = Watch(process.pid, seconds / SAMPLES)
        watch.start()
        run_clients(str(client.base_url), time.monotonic() + seconds, seed, notes)
        watch.stop()
        client.headers.update(BEARER)
        wait_for_jobs(client, notes)
        notes.knows(client.get("/models").json()["models"])
    if process.returncode != 0:
        notes.fault(f"the server ended with {process.returncode}")
    log = (folder / "log").read_text()
    found = [f"in the log: {word}" for word in ("Traceback", '"status": 500', TOKEN) if word in log]
    found += [f"version {pair} never was" for pair in notes.unknown_versions()]
    for fault in (*found, *growth_faults(watch.fifths()), *database_faults(settings)):
        notes.fault(fault)
    return notes, watch.fifths()


def settings_in(folder: Path) -> Settings:
    """A server with limits low enough that they are met, over a tiny model and a tiny dataset."""
    (folder / "data").mkdir()
    model_core.save(tiny.model(), folder / "tiny.npz")
    return Settings(
        state_dir=folder / "state",
        data_dir=tiny.write_dataset(folder / "data"),
        model=folder / "tiny.npz",
        token=TOKEN,
        event_streams=8,
        queue_rows=1000,
        port=free_port(),
    )


def run_clients(address: str, deadline: float, seed: int, notes: Notes) -> None:
    """All clients side by side, until the deadline."""
    threads: list[threading.Thread] = []
    for step, (count, pause) in CLIENTS.items():
        for _ in range(count):
            rng = np.random.default_rng([seed, len(threads)])
            threads.append(threading.Thread(target=repeat, args=(step, pause, address, deadline, rng, notes)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def repeat(step: Step, pause: float, address: str, deadline: float, rng: np.random.Generator, notes: Notes) -> None:
    """One client: a step, a pause, and so on."""
    with httpx2.Client(base_url=address, headers=BEARER, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                step(client, rng, notes)
            except httpx2.HTTPError as error:
                notes.fault(f"{step.__name__}: {type(error).__name__} {error}")
            time.sleep(pause * (0.5 + rng.random()))


def wait_for_jobs(client: httpx2.Client, notes: Notes) -> None:
    """Every job that was started comes to an end; one that failed is a fault too, for none asked for anything that cannot be."""
    found: dict[int, str] = {}

    def are_over() -> bool:
        found.update({job: client.get(f"/train/{job}").json()["status"] for job in notes.jobs if found.get(job) not in ENDED})
        return all(status in ENDED for status in found.values())

    eventually(are_over, DRAIN_SECONDS, pause=0.5)
    for job, status in found.items():
        if status not in ("succeeded", "cancelled"):
            notes.fault(f"job {job} is {status}: {client.get(f'/train/{job}').text[:400]}")
    ends = [list(found.values()).count(status) for status in ENDED]
    print("jobs:", ", ".join(f"{count} {status}" for status, count in zip(ENDED, ends, strict=True)))


def print_answers(notes: Notes) -> None:
    """How often each kind of client got which status."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for (kind, status), count in sorted(notes.answers.items()):
        kinds[kind].append(f"{count} x {status}")
    for kind, counts in kinds.items():
        print(f"{kind:15} {', '.join(counts)}")
    seen = {version for version, _ in notes.seen}
    print(f"{notes.answers.total()} answers, {notes.events} events, {len(notes.known)} versions, {len(seen)} of them in answers")


def print_fifths(fifths: list[Sample]) -> None:
    """Memory and open files over time."""
    for name, place in (("start", 0), ("warm", 1), ("middle", 2), ("late", 3), ("end", 4)):
        print(f"{name:7} {fifths[place].resident_bytes / 2**20:6.0f} MiB, {fifths[place].open_files:3} open files")


if __name__ == "__main__":
    sys.exit(main())
