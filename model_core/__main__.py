"""The command line: python -m model_core data | train | evaluate | card | recard | search | report | record | reproduction."""

import inspect
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from model_core import artifact, card, checkpoint, claim, console, data, download, experiments
from model_core.errors import ArtifactError, ArtifactMissingError, RecipeError, RookieError
from model_core.interruptions import stoppable
from model_core.recipe import FIELDS, PRESETS, Recipe
from model_core.run import Run, checkpoint_beside
from model_core.training import State

app = typer.Typer(help="Rookie: a three-layer network by hand in NumPy.", no_args_is_help=True, add_completion=False)

_ARTIFACT = Annotated[Path, typer.Argument(help="weights file (.npz)")]


@app.command("data")
def fetch_data() -> None:
    """Fetch the four files of Fashion-MNIST (30 MB) into ROOKIE_DATA_DIR and check them."""
    folder = data.data_dir(os.environ)
    with console.downloads() as report:
        fetched = download.fetch(folder, report)
    console.say(f"{folder}: {len(fetched)} files fetched, {len(data.FILES)} there, every SHA-256 right")


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of Recipe, with the help and bounds that stand there."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name)) for name in FIELDS if name != "name"
    ]
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*own, *options]}
    return command


def _option(name: str) -> Any:
    metadata = FIELDS[name].metadata
    kinds = {"hidden": str, "seed": int, "augment": str, "schedule": str, "standardize": str}
    kind = kinds.get(name) or FIELDS[name].type
    bounds = f" ({' | '.join(metadata['choices'])})" if metadata["choices"] else f" ({metadata['low']:g} to {metadata['high']:g})"
    return Annotated[kind | None, typer.Option(help=metadata["help"] + bounds)]  # type: ignore[operator]


@app.command()
@recipe_options
def train(
    out: Annotated[Path, typer.Option(help="where the weights file goes", dir_okay=False)],
    recipe: Annotated[str | None, typer.Option(help=f"preset to start from ({' | '.join(PRESETS)}); quick where none is named")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the checkpoint that an interrupted run left beside OUT")] = False,
    **changes: Any,
) -> None:
    """Train a network on Fashion-MNIST and write its weights, test score and card to one file.

    Ctrl-C keeps the best weights so far, and so does a loss that stops being a number: in OUT, or where that holds an earlier run's
    model, which a whole run alone replaces, in the checkpoint beside it.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if "hidden" in given:
        given["hidden"] = _sizes(given["hidden"])
    checkpoint_path = checkpoint_beside(out)
    if resume:
        wanted, state = checkpoint.from_bytes(_existing_checkpoint(checkpoint_path), str(checkpoint_path))
        _refuse_other_recipe(wanted, {"name": recipe, **given} if recipe else given)
    else:
        _insist_on_none(checkpoint_path)
        wanted = Recipe.preset(recipe or "quick", **given).seeded(secrets.randbits(32))
        state = State.fresh(wanted)
    folder = data.data_dir(os.environ)
    artifact.insist_on_others(out, [folder / name for name in data.FILES])
    artifact.insist_on_kind(out, artifact.BEGIN, "weights file")
    run = Run(wanted, state, data.load_training(folder), data.load_test(folder), data.file_hashes(folder), out)
    for path in (out, checkpoint_path):
        artifact.insist_on_writable(path)
    with claim.claimed(out), stoppable():
        if not resume:
            _insist_on_none(checkpoint_path)  # another run may have left one while this one read the data
        run.to_the_end()


@app.command()
def evaluate(
    path: _ARTIFACT,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, with the label of each test image")] = False,
) -> None:
    """Score a weights file on the 10,000 test images."""
    model = artifact.load(path)
    evaluation = card.evaluate(model, data.load_test(data.data_dir(os.environ)))
    if not as_json:
        console.show_evaluation(evaluation)
        return
    record = {
        "accuracy": evaluation.accuracy,
        "ece": evaluation.calibration_error,
        "per_class": evaluation.per_class(),
        "confusion": evaluation.confusion.tolist(),
        "labels": [data.CLASSES[k] for k in evaluation.predicted],
    }
    print(json.dumps(record))


@app.command()
def recard(path: _ARTIFACT) -> None:
    """Measure a weights file anew and write the figures into its card. The weights stay as they are."""
    folder = data.data_dir(os.environ)
    measured = card.rescored(card.load(path), data.load_training(folder), data.load_test(folder))
    digest = artifact.save(measured, path)
    console.say(f"{path}: test {measured.card['metrics']['test_accuracy']:.2%}, sha256 {digest}")


@app.command("card")
def show_card(path: _ARTIFACT) -> None:
    """Print a weights file's model card as Markdown."""
    print(console.printable(card.to_markdown(card.load(path).card, artifact.sha256(artifact.read_bytes(path))), kept="\n"), end="")


def _sizes(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",")]
    except ValueError as error:
        raise RecipeError("hidden", f"{text!r} is not two layer sizes, such as 500,324") from error


def _insist_on_none(path: Path) -> None:
    if path.is_file():
        raise ArtifactError(f"{path} is of a run that did not end; go on with it (--resume), delete it, or choose another --out")


def _existing_checkpoint(path: Path) -> bytes:
    if not path.is_file():
        raise ArtifactMissingError(f"{path} does not exist, so there is nothing to go on with; leave --resume out")
    return path.read_bytes()


def _refuse_other_recipe(recipe: Recipe, given: dict[str, Any]) -> None:
    record = recipe.as_record()
    for name, value in given.items():
        if record[name] != value:
            raise RecipeError(name, f"the checkpoint was trained with {record[name]}, not {value}; leave it out, or leave --resume out")


experiments.register(app)


def main() -> None:
    """Run a command; an error that we foresaw ends it with one line instead of a traceback."""
    console.take_any_text()
    try:
        try:
            app()
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except (RookieError, OSError) as error:
        sys.stdout = None  # what it may still hold nobody takes; the interpreter would complain of that
        console.complain(f"Error: {error}", style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
