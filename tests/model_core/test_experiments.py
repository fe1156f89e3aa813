"""The commands for comparing runs, where what they are given is damaged: one line says what is wrong with it."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core import artifact, checkpoint, grid, search, training
from tests.support import disk, tiny
from tests.support.commands import Run, refusal

CARD = tiny.model().card
HAT = {**CARD["metrics"]["per_class"], "Hat": {}}
ODD_CARDS: dict[str, dict[str, Any]] = {
    "the least of a card": {"classes": CARD["classes"]},
    "no metrics": {name: value for name, value in CARD.items() if name != "metrics"},
    "another recipe": {**CARD, "recipe": {"x": "[red]a[/nope]"}},
    "an eleventh class of nothing": {**CARD, "metrics": {**CARD["metrics"], "per_class": HAT}},
    "accuracy in words": {**CARD, "metrics": {**CARD["metrics"], "test_accuracy": "abc"}},
    "no epoch": {**CARD, "history": []},
}
NESTED = "[" * 100_000
RECORD = {
    "recipe": tiny.RECIPE.as_record(),
    "kept_epoch": 2,
    **dict.fromkeys(("validation", "validation_batch", "test", "test_batch"), 0.9),
    "history": {name: [0.5] * 4 for name in CARD["history"][0]},
}
ODD_RECORDS = {
    "no JSON": "nope",
    "a list": "[]",
    "nothing": "{}",
    "no text": "\udcff",
    "no end": NESTED,
    "another recipe": json.dumps({**RECORD, "recipe": {"epochs": 4}}),
    "no recipe": json.dumps({**RECORD, "recipe": []}),
    "accuracy in words": json.dumps({**RECORD, "test": "best"}),
    "accuracy that is no number": json.dumps({**RECORD, "test": float("nan")}),
    "history as a list": json.dumps({**RECORD, "history": CARD["history"]}),
    "no losses": json.dumps({**RECORD, "history": {"epoch": [1, 2, 3, 4]}}),
    "a run that was broken off": json.dumps({**RECORD, "history": {name: [0.5] * 3 for name in CARD["history"][0]}}),
    "losses in words": json.dumps({**RECORD, "history": {name: ["low"] * 4 for name in CARD["history"][0]}}),
}


@pytest.mark.parametrize("command", ["card", "recard", "record", "report"])
@pytest.mark.parametrize("odd", ODD_CARDS)
def test_a_card_that_cannot_be_used_is_refused(run: Run, tmp_path: Path, command: str, odd: str) -> None:
    path, out = tmp_path / "odd.npz", tmp_path / "out"
    artifact.save(dataclasses.replace(tiny.model(), card=ODD_CARDS[odd]), path)
    before = path.read_bytes()
    options = ["--out", out] if command in ("record", "report") else []
    assert f"{path} has a card that cannot be used" in refusal(run(command, path, *options))
    assert path.read_bytes() == before
    assert not out.exists()


def test_a_record_keeps_the_columns_that_every_history_has(run: Run, weights: Path, tmp_path: Path) -> None:
    first, *others = CARD["history"]
    artifact.save(dataclasses.replace(tiny.model(), card={**CARD, "history": [{**first, "note": "mine"}, *others]}), weights)
    assert run("record", weights, "--out", tmp_path / "run.json").code == 0
    assert json.loads((tmp_path / "run.json").read_text())["history"].keys() == first.keys()


@pytest.mark.parametrize("odd", ODD_RECORDS)
def test_a_record_that_cannot_be_used_is_refused_by_its_name(run: Run, tmp_path: Path, odd: str) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(RECORD))
    assert run("reproduction", folder, "--out", tmp_path / "page.md").code == 0
    (folder / "odd.json").write_text(ODD_RECORDS[odd], errors="surrogateescape")
    line = refusal(run("reproduction", folder, "--out", tmp_path / "other.md"))
    assert f"{folder / 'odd.json'} is no record of a whole run" in line
    assert not (tmp_path / "other.md").exists()


@pytest.mark.parametrize(
    ("grid", "word"),
    [
        ('{"recipe": ["paper"], "vary": {}}', "['paper']"),
        ('{"recipe": "paper", "vary": {"l2": []}}', "at least one value"),
        ('{"vary": {"seed": [null]}}', "seed"),
        (NESTED, "neither 'paper' nor a JSON file"),
        ("[]", "not an object"),
    ],
    ids=["a preset in a list", "no values", "no seed", "no end", "a list"],
)
def test_a_grid_that_cannot_be_searched_is_refused(run: Run, tmp_path: Path, grid: str, word: str) -> None:
    (tmp_path / "grid.json").write_text(grid)
    assert word in refusal(run("search", "--grid", tmp_path / "grid.json", "--out", tmp_path / "found"))
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("listing", ["nope", "\udcff", NESTED], ids=["no JSON", "no text", "no end"])
def test_a_damaged_listing_of_a_search_is_refused(run: Run, tmp_path: Path, listing: str) -> None:
    (tmp_path / "runs.json").write_text(listing, errors="surrogateescape")
    assert f"{tmp_path / 'runs.json'} is damaged" in refusal(run("search", "--out", tmp_path))


CHECKPOINT = checkpoint.to_bytes(tiny.RECIPE, training.State.fresh(tiny.RECIPE))
ODD_RESULTS = {
    "a list": [],
    "no end": NESTED,
    "a recipe that is a list": {"recipe": []},
    "accuracy in words": {"validation_accuracy": "best"},
    "accuracy that is no number": {"validation_accuracy": float("nan")},
    "no history": {"history": None},
    "an error that is a number": {"error": 7},
    "another recipe": {"recipe": tiny.RECIPE.as_record()},
}


@pytest.mark.parametrize("odd", ODD_RESULTS)
def test_a_result_of_a_search_that_cannot_be_used_is_waited_for_again(tmp_path: Path, odd: str) -> None:
    (recipe,) = grid.expand({"recipe": "quick", "vary": {}}, epochs=1, seed=3)
    path, change = tmp_path / f"{search.run_name(recipe)}.json", ODD_RESULTS[odd]
    good = search.Result(recipe, 0.9, 1, []).as_record()
    path.write_text(json.dumps(good))
    assert len(search.open_folder(tmp_path, [recipe], "")) == 1
    path.write_text(change if isinstance(change, str) else json.dumps({**good, **change} if isinstance(change, dict) else change))
    assert search.open_folder(tmp_path, [recipe], "") == []


@pytest.mark.parametrize(
    "command",
    ["record model.npz --out model.npz", "export model.npz --onnx ./model.npz", "reproduction records --out records/one.json"],
)
def test_a_command_does_not_write_over_what_it_reads(run: Run, weights: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(weights.parent)
    Path("records").mkdir()
    Path("records/one.json").write_text(json.dumps(RECORD))
    before = weights.read_bytes()
    assert "it is what this command reads" in refusal(run(*command.split()))
    assert weights.read_bytes() == before
    assert Path("records/one.json").read_text() == json.dumps(RECORD)


def test_the_page_of_the_records_is_not_written_among_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(RECORD))
    assert "would count among the records there" in refusal(run("reproduction", tmp_path, "--out", tmp_path / "page.json"))
    page, empty = tmp_path / "page.md", tmp_path / "empty"
    assert run("reproduction", tmp_path, "--out", page).code == 0
    empty.mkdir()
    before = page.read_text()
    assert "has no records" in refusal(run("reproduction", empty, "--out", page))
    assert page.read_text() == before


def zipped() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, mine=np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        "train --epochs 1 --out {there}",
        "export {weights} --onnx {there}",
        "record {weights} --out {there}",
        "reproduction {records} --out {there}",
    ],
)
@pytest.mark.parametrize("content", [b"notes", b"{}", zipped(), CHECKPOINT], ids=["text", "JSON", "arrays", "checkpoint"])
def test_a_file_of_another_kind_is_not_replaced(run: Run, weights: Path, tmp_path: Path, command: str, content: bytes) -> None:
    there, records = tmp_path / "there", tmp_path / "records"
    there.write_bytes(content)
    records.mkdir()
    (records / "one.json").write_text(json.dumps(RECORD))
    refused = refusal(run(*command.format(weights=weights, there=there, records=records).split()))
    assert "and would be lost; choose another name" in refused
    assert there.read_bytes() == content


def test_an_onnx_file_of_another_program_is_not_replaced(run: Run, weights: Path, tmp_path: Path) -> None:
    there = tmp_path / "other.onnx"
    there.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x05")
    assert "it is no ONNX file of Rookie's, and would be lost" in refusal(run("export", weights, "--onnx", there))
    assert there.read_bytes().endswith(b"pytorch\x1a\x05")


def test_notes_called_like_a_search_s_ranking_are_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ranking.md").write_text("my own notes")
    assert "it is no ranking, and would be lost" in refusal(run("search", "--epochs", 1, "--out", tmp_path))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["my own notes"]


def test_a_record_is_not_written_over_the_dataset(run: Run, weights: Path, tiny_folder: Path) -> None:
    labels = tiny_folder / "train-labels-idx1-ubyte.gz"
    before = labels.read_bytes()
    assert "it is what this command reads" in refusal(run("record", weights, "--out", labels))
    assert labels.read_bytes() == before


def test_a_name_does_not_command_the_terminal(run: Run, weights: Path) -> None:
    odd = weights.rename(weights.with_name("z\x1b]0;odd\x07\n.npz"))
    (line,) = run("recard", odd).out.splitlines()
    assert r"z\x1b]0;odd\x07\n.npz: test " in line


@pytest.mark.parametrize(
    "command",
    ["recard model.npz", "record model.npz --out run.json", "reproduction records --out page.md", "report model.npz --out figures"],
    ids=lambda command: command.split()[0],
)
def test_a_full_disk_leaves_what_an_earlier_command_wrote(run: Run, weights: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(weights.parent)
    Path("records").mkdir()
    Path("records/one.json").write_text(json.dumps(RECORD))
    assert run(*command.split()).code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*.*")}
    with disk.full():
        assert "File too large: '" in refusal(run(*command.split()))
    assert {path: path.read_bytes() for path in Path().rglob("*.*")} == before
