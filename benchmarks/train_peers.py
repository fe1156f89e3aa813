"""Time the same training epoch in Rookie and in other libraries, in turn, in one run: `make bench-peers`.

55,000 x 784 float32, batches of 512, 784-500-324-10, plain SGD with L2. Every contestant is a process of its own with the same number of
threads, and waits while another one works. Those that are not installed are left out, and said so.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.train_epoch import TUNING
from model_core import card

BENCH_PYTHON = Path(".venv-bench/bin/python")
PRODUCTS = "matrix products alone"
CONTESTANTS = {  # name -> interpreter, arguments
    PRODUCTS: (sys.executable, ["-m", "benchmarks.peers.products"]),
    "Rookie, plain": (sys.executable, ["-m", "benchmarks.peers.rookie", "plain"]),
    "Rookie, best": (sys.executable, ["-m", "benchmarks.peers.rookie", "best"]),
    "PyTorch": (str(BENCH_PYTHON), ["-m", "benchmarks.peers.pytorch"]),
    "JAX": (str(BENCH_PYTHON), ["-m", "benchmarks.peers.jax_"]),
    "scikit-learn": (str(BENCH_PYTHON), ["-m", "benchmarks.peers.sklearn_"]),
}


class Contestant:
    """A process that runs an epoch when it is told to."""

    def __init__(self, interpreter: str, arguments: list[str], threads: int) -> None:
        variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environ = {name: value for name, value in os.environ.items() if name not in TUNING}
        environ |= dict.fromkeys(variables, str(threads)) | {"PYTHONPATH": "."}
        # XLA takes its number of threads from the cores it may use.
        pinned = ["taskset", "--cpu-list", f"0-{threads - 1}", interpreter, *arguments]
        self.process = subprocess.Popen(pinned, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def epoch(self) -> tuple[float, float]:
        """Seconds of one epoch, and the most memory so far in MB. Raises ValueError where the process died."""
        told, answered = self.process.stdin, self.process.stdout
        if told is None or answered is None or self.process.poll() is not None:
            raise ValueError("it has ended")
        told.write("\n")
        told.flush()
        seconds, memory = answered.readline().split()
        return float(seconds), float(memory)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7, help="epochs timed for each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of each (default: all cores)")
    options = parser.parse_args()
    seconds, memory = measure(options.rounds, options.threads)
    base = statistics.median(seconds[PRODUCTS])
    rookie = statistics.median(seconds["Rookie, plain"])
    print("| | median s | fastest | slowest | x products | Rookie, plain / this | peak MB |\n|---|---|---|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        figures = f"{median:.3f} | {min(times):.3f} | {max(times):.3f} | {median / base:.2f} | {rookie / median:.2f} | {memory[name]:.0f}"
        print(f"| {name} | {figures} |")
    machine = card.environment(os.environ)
    print(f"\n{options.threads} threads, {options.rounds} rounds in turn; {machine['blas']}, NumPy {machine['numpy']}, {machine['cpu']}")


def measure(rounds: int, threads: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each contestant in each round, after one that warms up, and its peak memory in MB."""
    running = {
        name: Contestant(interpreter, arguments, threads)
        for name, (interpreter, arguments) in CONTESTANTS.items()
        if Path(interpreter).exists()
    }
    seconds: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for number in range(rounds + 1):
        for name in list(running):
            try:
                took, memory[name] = running[name].epoch()
            except ValueError:
                print(f"{name} does not run here and is left out")
                del running[name]
                continue
            if number:
                seconds.setdefault(name, []).append(took)
    for contestant in running.values():
        contestant.process.kill()
    return seconds, memory


if __name__ == "__main__":
    main()
