"""The commands for comparing runs, and for other runtimes: python -m model_core search | report | record | reproduction | export."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from model_core import artifact, card, console, data, records, reproduction, search
from model_core import grid as grids
from model_core.errors import RookieError
from model_core.interruptions import stoppable
from model_core.workers import pool

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("search")(run_search)
    app.command("report")(write_report)
    app.command("record")(record_run)
    app.command("reproduction")(write_reproduction)
    app.command("export")(export_model)


def run_search(
    out: Annotated[
        Path, typer.Option(help="folder of the results; a search that was broken off goes on from what it holds", file_okay=False)
    ],
    grid: Annotated[
        str,
        typer.Option(
            help='paper (its Table 1, 216 runs), or FILE.json: {"recipe": "best", "vary": {"seed": [0, 1]}, "cases": [{}, {"dropout": 0}]}'
        ),
    ] = "paper",
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs of each run, where not the recipe's")] = None,
    workers: Annotated[int, typer.Option(min=1, help="runs at the same time, each in a process with one thread")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="seed of every run")] = 0,
) -> None:
    """Train every recipe of a grid and rank them by validation accuracy: OUT/ranking.md.

    Ctrl-C ends it at once; the same command goes on with the runs that have no result yet.
    """
    recipes = grids.expand(grids.load(grid), epochs, seed)
    artifact.insist_on_kind(out / "ranking.md", search.BEGIN, "ranking")
    images = data.load_training(data.data_dir(os.environ))
    results = search.open_folder(out, recipes, images.digest())
    done = {search.run_name(result.recipe) for result in results}
    waiting = [recipe for recipe in recipes if search.run_name(recipe) not in done]
    # One thread a run: two such runs side by side get more done than one with two threads. Workers inherit it before NumPy loads.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        with stoppable(), tempfile.TemporaryDirectory(dir=out) as shared:
            search.share(images, Path(shared))
            found = search.search(waiting, Path(shared), out, lambda: pool(workers))
            for result in console.follow_search(found, results, len(recipes)):
                results.append(result)
    except SystemExit:
        console.complain(f"Interrupted: {len(results)} of {len(recipes)} runs are done. The same command goes on with the others.")
        raise
    artifact.write_atomically(out / "ranking.md", search.to_markdown(results).encode())
    best = search.ranked(results)[0]
    console.say(f"{out / 'ranking.md'}: best of {len(results)} has validation accuracy {best.validation_accuracy:.2%}")


def write_report(
    path: Annotated[Path, typer.Argument(help="weights file (.npz)")],
    out: Annotated[Path, typer.Option(help="folder that the figures go to", file_okay=False)],
) -> None:
    """Draw the paper's figures and ours, as PNG and SVG. Those that show test images are left out where the dataset is not there."""
    try:
        from model_core import report
    except ImportError as error:
        raise RookieError(f"figures need matplotlib ({error}); install it: pip install 'rookie[report]'") from error
    folder = data.data_dir(os.environ)
    test = None if data.missing_files(folder) else data.load_test(folder)
    written = report.write_report(card.load(path), out, test)
    note = "" if test else f"; {folder} lacks the dataset, so no figure shows test images"
    console.say(f"{out}: {len(written)} files{note}")


def record_run(
    path: Annotated[Path, typer.Argument(help="weights file (.npz)")],
    out: Annotated[Path, typer.Option(help="where the record goes (.json)", dir_okay=False)],
) -> None:
    """Measure a weights file under stored and under batch statistics, and keep that with its history as a small JSON file."""
    folder = data.data_dir(os.environ)
    artifact.insist_on_others(out, [path, *(folder / name for name in data.FILES)])
    artifact.insist_on_kind(out, records.BEGIN, "record")
    run = records.record(card.load(path), data.load_training(folder), data.load_test(folder))
    records.save(run, out)
    console.say(f"{out}: test {run.test:.2%} under stored statistics, {run.test_batch:.2%} under those of batches of 512")


def write_reproduction(
    folder: Annotated[Path, typer.Argument(help="folder of the records", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="where the page goes (.md)", dir_okay=False)],
) -> None:
    """Write the paper's tables, ours beside them, from the records of runs."""
    artifact.insist_on_others(out, records.files(folder))
    records.insist_on_elsewhere(out, folder)
    artifact.insist_on_kind(out, reproduction.BEGIN, "page of records")
    runs = records.load_all(folder)
    artifact.write_atomically(out, reproduction.to_markdown(runs).encode())
    console.say(f"{out}: from {len(runs)} records")


def export_model(
    path: Annotated[Path, typer.Argument(help="weights file (.npz)")],
    onnx: Annotated[Path, typer.Option(help="ONNX file to write", dir_okay=False)],
) -> None:
    """Write a model, its standardiser included, for other runtimes: pictures (N, 28, 28) uint8 in, probabilities (N, 10) out."""
    try:
        from model_core import export
    except ImportError as error:
        raise RookieError(f"exporting needs onnx ({error}); install it: pip install 'rookie[onnx]'") from error
    artifact.insist_on_others(onnx, [path])
    artifact.insist_on_kind(onnx, export.BEGIN, "ONNX file of Rookie's")
    export.write_onnx(artifact.load(path), onnx)
    console.say(f"{onnx}: input image (N, 28, 28) uint8, output probabilities (N, 10) float32")
