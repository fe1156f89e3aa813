"""rookie predict | train | models: the command line of a running service, here or elsewhere."""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.client import DEFAULT_ADDRESS, Client, ClientError

BAR = 30  # characters


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a refusal ends it with one line and code 1."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal's encoding does not
    try:
        command: Callable[[Client, argparse.Namespace], int] = options.command
        code = command(Client(options.server, options.token), options)
        if sys.stdout:
            sys.stdout.flush()
    except (ClientError, OSError) as error:
        sys.stdout = None  # what it may still hold nobody takes; the interpreter would complain of that
        sys.exit(_printable(f"rookie: {error}"))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        sys.exit(f"rookie: what answers at {options.server} is no Rookie service of this version ({type(error).__name__}: {error})")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code)


def predict(client: Client, options: argparse.Namespace) -> int:
    """Classify picture files; 1 where one of them could not be."""
    pictures = [path.read_bytes() for path in options.images]
    answers = client.predict_batch(pictures)
    width = max(len(str(path)) for path in options.images)
    for path, answer in zip(options.images, answers, strict=True):
        if options.json:
            _say(json.dumps({"file": str(path), **answer}))
        elif "label" in answer:
            _say(f"{path!s:<{width}}  {answer['label']:<12} {answer['confidence']:7.2%}")
        else:
            _say(f"{path!s:<{width}}  {answer['detail']}")
    return int(any("label" not in answer for answer in answers))


def train(client: Client, options: argparse.Namespace) -> int:
    """Start a training job, and with --follow show how it goes; 1 where it does not succeed."""
    wanted = {"recipe": options.recipe, "promote": options.promote, **dict(map(_field, options.set))}
    job = client.train(**wanted)
    _say(f"job {job['id']}: {job['epochs']} epochs of {job['recipe']['name']}, seed {job['recipe']['seed']}")
    if not options.follow:
        return 0
    for event in client.follow(job["id"]):
        if event.kind == "epoch":
            _progress(event.data, job["epochs"])
    job = client.job(job["id"])
    if job["status"] != "succeeded":
        raise ClientError(f"job {job['id']} {job['status']}" + (f": {job['error']['detail']}" if job["error"] else ""))
    _say(f"version {job['version']}: test accuracy {job['metrics']['test_accuracy']:.2%}; {job['promotion']['reason']}")
    return 0


def models(client: Client, options: argparse.Namespace) -> int:
    """List the model versions, or let one of them serve."""
    if options.activate is not None:
        client.activate(options.activate)
    _say("  version  source    validation     test  created")
    for model in client.models()["models"]:
        mark, scores = "*" if model["current"] else " ", f"{model['validation_accuracy']:9.2%}  {model['test_accuracy']:7.2%}"
        _say(f"{mark} {model['version']:>7}  {model['source']:<8}  {scores}  {model['created']}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("rookie", description=__doc__)
    parser.add_argument("--server", default=DEFAULT_ADDRESS, help=f"the service's address ({DEFAULT_ADDRESS})")
    parser.add_argument("--token", default=os.environ.get("ROOKIE_TOKEN"), help="its token, for changes (ROOKIE_TOKEN)")
    commands = parser.add_subparsers(required=True, metavar="predict | train | models")
    command = commands.add_parser("predict", help="classify picture files of 28 x 28 pixels")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    command.add_argument("--json", action="store_true", help="print a line of JSON for each, with all ten probabilities")
    command.set_defaults(command=predict)
    command = commands.add_parser("train", help="train a new model version")
    command.add_argument("--recipe", default="quick", help="preset to start from (quick)")
    command.add_argument(
        "--promote", default="if-better", choices=["if-better", "always", "never"], help="whether it is to serve (if-better)"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="another value of a field of the recipe: epochs=5"
    )
    command.add_argument("--follow", action="store_true", help="show how it goes, to its end")
    command.set_defaults(command=train)
    command = commands.add_parser("models", help="list the model versions")
    command.add_argument("--activate", type=int, metavar="VERSION", help="let that version serve first")
    command.set_defaults(command=models)
    return parser


def _field(text: str) -> tuple[str, Any]:
    """A field of the recipe and its value, which may be a number, a list or a word."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _progress(epoch: dict[str, Any], epochs: int) -> None:
    """One line that is drawn over, or where nobody watches, a line for each epoch."""
    done = max(0, min(BAR, BAR * epoch["epoch"] // epochs))
    figures = f"loss {epoch['train_loss']:.4f}, validation {epoch['validation_accuracy']:.2%}"
    line = f"[{'#' * done}{'.' * (BAR - done)}] {epoch['epoch']}/{epochs}  {figures}"
    last = epoch["epoch"] == epochs
    end = "\r" if sys.stdout and sys.stdout.isatty() and not last else "\n"
    print(line, end=end, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(_printable(text))  # noqa: T201


def _printable(text: str) -> str:
    """The text with its control characters written out: what a service or a file's name holds does not command the terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


if __name__ == "__main__":
    main()
