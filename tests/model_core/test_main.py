"""The command line, as a person meets it."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main

from model_core import __main__ as command_line
from model_core import artifact, data, download, training
from model_core.recipe import FIELDS, Recipe
from tests.support import tiny
from tests.support.commands import Run, options, refusal
from tests.support.source import Source
from tests.support.tiny import assert_same_weights

RECIPE = tiny.RECIPE
ROOT = Path(__file__).parents[2]


def test_train_writes_the_weights_and_prints_their_scores(run: Run, tmp_path: Path, tiny_folder: Path) -> None:
    out = tmp_path / "model[best].npz"
    outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 0, outcome.err
    model = artifact.load(out)
    assert_same_weights(model.parameters, tiny.model().parameters)
    assert model.card["recipe"] == RECIPE.as_record()
    assert model.card["data"] == data.file_hashes(tiny_folder)
    scores = model.card["metrics"]
    assert f"validation {scores['validation_accuracy']:.2%}, test {scores['test_accuracy']:.2%}" in outcome.out
    assert f"{out}: epoch {model.card['kept_epoch']} of 4, seed 1, sha256 {artifact.sha256(out.read_bytes())}" in outcome.out
    assert list(tmp_path.iterdir()) == [out]


def test_train_draws_and_records_a_seed_where_none_is_given(run: Run, tmp_path: Path) -> None:
    seeds = set()
    for name in ("one.npz", "two.npz"):
        assert run("train", "--out", tmp_path / name, "--epochs", 1, "--hidden", "4,3").code == 0
        seeds.add(artifact.load(tmp_path / name).card["seed"])
    assert len(seeds) == 2
    assert None not in seeds


def test_every_field_of_a_recipe_is_an_option_of_train() -> None:
    group = typer.main.get_command(command_line.app)
    options = {parameter.name: parameter for parameter in group.commands["train"].params}  # type: ignore[attr-defined]
    for name, field in FIELDS.items():
        if name != "name":
            assert options[name].opts == [f"--{name.replace('_', '-')}"]
            assert field.metadata["help"] in options[name].help


def test_every_option_of_train_reaches_the_recipe(run: Run, tmp_path: Path) -> None:
    recipe = Recipe.preset("best", epochs=1, batch_size=99, hidden=(5, 4), seed=3, label_smoothing=0.1, lr_decay=0.9)
    others = options(recipe)[2:]
    assert run("train", "--out", tmp_path / "model.npz", "--recipe", "quick", *others).code == 0
    assert artifact.load(tmp_path / "model.npz").card["recipe"] == {**recipe.as_record(), "name": "quick"}


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (("--epochs", "1000000"), ("epochs", "1000000", "1 to 2000")),
        (("--hidden", "5,a"), ("hidden", "'5,a'", "500,324")),
        (("--hidden", "0,5"), ("hidden", "0", "1 to 1536")),
        (("--hidden", "5,5,5"), ("hidden", "500, 324")),
        (("--learning-rate", "nan"), ("learning_rate", "nan")),
        (("--schedule", "wobbly"), ("schedule", "'wobbly'", "cosine")),
        (("--recipe", "slow"), ("'slow'", "paper, best, quick")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_what_cannot_be_trained_is_refused_in_one_line(run: Run, tmp_path: Path, refused: tuple[str, ...], words: tuple[str, ...]) -> None:
    outcome = run("train", "--out", tmp_path / "model.npz", *refused)
    last = outcome.err.splitlines()[-1]
    assert outcome.code == 1
    assert last.startswith("Error: ")
    assert all(word in last for word in words)
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_missing_data_is_named_in_one_line_with_the_way_to_fetch_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(tmp_path / "nowhere"))
    line = refusal(run("train", "--out", tmp_path / "model.npz"))
    assert str(tmp_path / "nowhere") in line
    assert "python -m model_core data" in line


def test_a_missing_weights_file_is_named_in_one_line_with_the_way_to_make_it(run: Run, tmp_path: Path) -> None:
    for command in ("evaluate", "card", "recard"):
        assert "python -m model_core train --out" in refusal(run(command, tmp_path / "none.npz"))


@pytest.mark.parametrize("name", ["a[/b].npz", "[bold].npz", "a:bug:.npz"])
def test_a_path_is_printed_as_it_is_whatever_stands_in_it(run: Run, tmp_path: Path, name: str) -> None:
    assert f"{tmp_path / name} does not exist" in refusal(run("card", tmp_path / name))


def test_a_folder_is_refused_as_a_weights_file_before_anything_is_trained(run: Run, tmp_path: Path) -> None:
    outcome = run("train", "--out", tmp_path)
    assert outcome.code == 2
    assert "is a directory" in " ".join(outcome.err.replace("│", "").split())
    assert "cannot be read" in refusal(run("card", tmp_path))


@pytest.mark.parametrize(
    "place", ["/proc/nowhere/model.npz", "{folder}/file/model.npz", "{folder}/taken/model.npz", "{folder}/" + "x" * 250]
)
def test_what_cannot_be_written_is_said_before_anything_is_trained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "model.npz.checkpoint").mkdir(parents=True)
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("it trains"))
    out = Path(place.format(folder=tmp_path))
    assert str(out.parent) in refusal(run("train", "--out", out, *options(RECIPE)))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "model.npz.checkpoint", "taken"]


def test_evaluate_prints_accuracy_and_each_class(run: Run, weights: Path) -> None:
    outcome = run("evaluate", weights)
    assert f"accuracy {tiny.model().card['metrics']['test_accuracy']:.2%} on 100 images" in outcome.out
    assert all(name in outcome.out for name in data.CLASSES)


def test_recard_measures_a_file_anew_and_leaves_its_weights(run: Run, tmp_path: Path) -> None:
    whole, path = tiny.model(), tmp_path / "old.npz"
    old = {**whole.card["metrics"], "test_accuracy": 0.1}
    del old["familiarity"], old["confusion"]
    artifact.save(artifact.Model(whole.parameters, whole.standardizer, {**whole.card, "metrics": old}), path)
    outcome = run("recard", path)
    assert outcome.code == 0
    measured = artifact.load(path)
    assert measured.card == json.loads(json.dumps(whole.card))
    assert artifact.sha256(path.read_bytes()) in outcome.out
    for before, after in zip(whole.parameters, measured.parameters, strict=True):
        np.testing.assert_array_equal(before, after)


def test_evaluate_as_json_has_the_label_of_each_test_image(run: Run, weights: Path) -> None:
    record = json.loads(run("evaluate", weights, "--json").out)
    predicted = tiny.model().predict_proba(tiny.test_images().images).argmax(axis=1)
    assert record["labels"] == [data.CLASSES[k] for k in predicted]
    assert record["accuracy"] == tiny.model().card["metrics"]["test_accuracy"]
    assert record["confusion"] == tiny.model().card["metrics"]["confusion"]
    assert record["per_class"].keys() == set(data.CLASSES)


def test_card_prints_markdown(run: Run, weights: Path) -> None:
    page = run("card", weights).out
    assert page.startswith("# Model card\n")
    assert artifact.sha256(weights.read_bytes()) in page


def test_data_fetches_what_is_missing(run: Run, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: (tiny_folder / name).read_bytes() for name in data.FILES}
    monkeypatch.setattr(download, "FILES", {name: hashlib.sha256(content).hexdigest() for name, content in files.items()})
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.setenv("no_proxy", "*")
    with Source(files) as source:
        monkeypatch.setattr(download.fetch, "__defaults__", (download._silent, (source.url,)))
        assert "4 files fetched, 4 there" in run("data").out
        assert "0 files fetched, 4 there" in run("data").out
    assert data.missing_files(tmp_path / "new") == []


def test_a_missing_test_file_is_told_before_training(run: Run, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "data")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(folder))
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained"))
    assert "t10k-labels-idx1-ubyte.gz is missing" in refusal(run("train", "--out", tmp_path / "model.npz", *options(RECIPE)))


def test_train_does_not_write_over_the_dataset(run: Run, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "data")
    monkeypatch.setenv("ROOKIE_DATA_DIR", str(folder))
    before = data.file_hashes(folder)
    assert "it is what this command reads" in refusal(run("train", "--out", folder / "train-images-idx3-ubyte.gz", *options(RECIPE)))
    assert data.file_hashes(folder) == before


def test_what_a_weights_file_says_does_not_command_the_terminal(run: Run, tmp_path: Path) -> None:
    model = tiny.model()
    path = tmp_path / "\x1b[2J.npz"
    artifact.save(dataclasses.replace(model, card={**model.card, "rookie_version": "\x1b]0;owned\x07"}), path)
    shown = run("card", path)
    assert r"\x1b]0;owned\x07" in shown.out
    path.write_bytes(b"no archive")
    assert r"\x1b[2J.npz" in refusal(run("card", path))
    assert "\x1b]" not in shown.out + shown.err


def test_the_module_runs_as_a_program_and_lists_its_commands() -> None:
    done = subprocess.run([sys.executable, "-m", "model_core", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("data", "train", "evaluate", "card", "recard"))
