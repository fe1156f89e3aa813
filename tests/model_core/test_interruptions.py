"""Training that is broken off: by Ctrl-C, a loss that is no number, a full disk; and how it goes on."""

import dataclasses
import errno
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_core import artifact, checkpoint, claim, data, training
from model_core.data import TrainingData
from model_core.recipe import Recipe
from tests.support import tiny
from tests.support.commands import Run, options, refusal
from tests.support.tiny import assert_same_weights

RECIPE = tiny.RECIPE
ROOT = Path(__file__).parents[2]
DAMAGED = artifact.to_bytes(tiny.model())[:-100]


def checkpoint_after(done: int, out: Path) -> Path:
    """What a run that was interrupted after that many epochs leaves beside OUT."""
    path = out.with_name(out.name + ".checkpoint")
    for epoch in itertools.islice(training.train(RECIPE, tiny.training_data()), done):
        path.write_bytes(checkpoint.to_bytes(RECIPE, epoch.state))
    return path


def test_resume_ends_with_the_weights_of_an_undisturbed_run_and_removes_the_checkpoint(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "model.npz"
    checkpoint_after(2, out)
    assert run("train", "--out", out, "--resume", *options(RECIPE)).code == 0
    assert_same_weights(artifact.load(out).parameters, tiny.model().parameters)
    assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_while_the_weights_are_scored_loses_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    out = tmp_path / "model.npz"
    with monkeypatch.context() as patch:
        patch.setattr("model_core.card.finish", interrupted)
        outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 130
    assert f"Interrupted after epoch {RECIPE.epochs}. Go on with: python -m model_core train --out {out} --resume" in outcome.err
    assert run("train", "--out", out, "--resume").code == 0
    assert_same_weights(artifact.load(out).parameters, tiny.model().parameters)
    assert list(tmp_path.iterdir()) == [out]


def test_resume_without_a_checkpoint_is_refused(run: Run, tmp_path: Path) -> None:
    assert "model.npz.checkpoint does not exist" in refusal(run("train", "--out", tmp_path / "model.npz", "--resume"))


@pytest.mark.parametrize("option", [("--seed", "2"), ("--hidden", "16,13"), ("--recipe", "paper"), ("--l2", "0.01")], ids=" ".join)
def test_resume_with_another_recipe_is_refused_and_the_checkpoint_kept(run: Run, tmp_path: Path, option: tuple[str, str]) -> None:
    kept = checkpoint_after(1, tmp_path / "model.npz")
    assert "the checkpoint was trained with" in refusal(run("train", "--out", tmp_path / "model.npz", "--resume", *option))
    assert kept.is_file()


def test_resume_from_a_damaged_checkpoint_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.npz.checkpoint").write_bytes(b"damaged")
    assert "damaged checkpoint" in refusal(run("train", "--out", tmp_path / "model.npz", "--resume"))


def test_a_new_run_leaves_the_checkpoint_of_another_one_alone(run: Run, tmp_path: Path) -> None:
    kept = checkpoint_after(2, tmp_path / "model.npz")
    before = kept.read_bytes()
    line = refusal(run("train", "--out", tmp_path / "model.npz", *options(RECIPE)))
    assert all(words in line for words in (f"{kept} is of a run that did not end", "--resume", "delete it", "another --out"))
    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_bytes() == before


def test_two_runs_do_not_write_to_one_file_at_a_time(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "model.npz"
    with claim.claimed(out):
        assert f"another run writes to {out}; wait for its end" in refusal(run("train", "--out", out, *options(RECIPE)))
        (tmp_path / "link.npz").symlink_to(out)
        assert "another run writes to" in refusal(run("train", "--out", tmp_path / "link.npz", *options(RECIPE)))
        (tmp_path / "link.npz").unlink()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".model.npz.lock").touch()  # a run that was killed leaves it behind, and that is all
    assert run("train", "--out", out, *options(RECIPE)).code == 0
    assert list(tmp_path.iterdir()) == [out]


def test_ctrl_c_in_the_first_epoch_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[training.Epoch]:
        signal.raise_signal(signal.SIGINT)
        yield from ()

    monkeypatch.setattr(training, "train", interrupted)
    outcome = run("train", "--out", tmp_path / "model.npz", *options(RECIPE))
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.endswith("Interrupted after epoch 0.\n")
    assert list(tmp_path.iterdir()) == []


# Checkpoints after every epoch instead of every 30 s, so that one can be waited for.
TRAIN_UNTIL_INTERRUPTED = """
from model_core import run
from model_core.__main__ import main
run.CHECKPOINT_SECONDS = 0
main()
"""


@pytest.mark.parametrize(
    ("stop", "code", "presses"),
    [(signal.SIGINT, 130, 1), (signal.SIGINT, 130, 2), (signal.SIGINT, 130, 20), (signal.SIGTERM, 143, 1), (signal.SIGHUP, 129, 1)],
    ids=["once", "twice", "held", "SIGTERM", "a terminal that closes"],
)
def test_ctrl_c_keeps_the_best_weights_and_a_checkpoint_that_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, tiny_folder: Path, stop: signal.Signals, code: int, presses: int
) -> None:
    out, saved = tmp_path / "model.npz", tmp_path / "model.npz.checkpoint"
    endless = options(dataclasses.replace(RECIPE, epochs=2000, schedule="constant"))
    with subprocess.Popen(
        [sys.executable, "-c", TRAIN_UNTIL_INTERRUPTED, "train", "--out", str(out), *endless],
        env={**os.environ, "ROOKIE_DATA_DIR": str(tiny_folder)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not saved.exists() and process.poll() is None:
            time.sleep(0.01)
        for _ in range(presses):
            process.send_signal(stop)
            time.sleep(0.02)
        printed, complained = process.communicate(timeout=60)
    assert process.returncode == code, complained
    assert "Traceback" not in complained
    assert "validation " in printed

    recipe, state = checkpoint.from_bytes(saved.read_bytes(), "")
    reached = state.epoch
    assert f"after epoch {reached}. Go on with: python -m model_core train --out {out} --resume" in complained
    assert reached >= 1
    undisturbed = [epoch.state.parameters.copy() for epoch in itertools.islice(training.train(recipe, tiny.training_data()), reached + 2)]
    # Another process may compute with another number of BLAS threads, which shows in the last bits.
    np.testing.assert_allclose(state.parameters, undisturbed[reached - 1], atol=1e-4)
    for epoch in itertools.islice(training.train(recipe, tiny.training_data(), state), 2):
        resumed = epoch.state.parameters.copy()
    np.testing.assert_allclose(resumed, undisturbed[-1], atol=1e-4)

    kept = artifact.load(out)
    assert len(kept.card["history"]) == reached
    assert kept.card["metrics"]["validation_accuracy"] == max(record["validation_accuracy"] for record in kept.card["history"])


def test_ctrl_c_while_an_epoch_is_being_recorded_keeps_the_one_before_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(recipe: Recipe, state: training.State) -> bytes:
        if state.epoch == 3:
            signal.raise_signal(signal.SIGINT)
        return recorded(recipe, state)

    recorded = checkpoint.to_bytes
    monkeypatch.setattr(checkpoint, "to_bytes", interrupted)
    out = tmp_path / "model.npz"
    outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 130
    assert "Interrupted after epoch 2." in outcome.err
    assert len(artifact.load(out).card["history"]) == 2
    assert checkpoint.from_bytes((tmp_path / "model.npz.checkpoint").read_bytes(), "")[1].epoch == 2


def test_ctrl_c_while_the_last_checkpoint_is_written_keeps_it_and_the_weights(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        monkeypatch.setattr(artifact, "write_atomically", write)
        signal.raise_signal(signal.SIGINT)

    write = artifact.write_atomically
    monkeypatch.setattr(artifact, "write_atomically", interrupted)
    out = tmp_path / "model.npz"
    outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 130
    assert f"Interrupted after epoch {RECIPE.epochs}." in outcome.err
    assert checkpoint.from_bytes((tmp_path / "model.npz.checkpoint").read_bytes(), "")[1].epoch == RECIPE.epochs
    assert_same_weights(artifact.load(out).parameters, tiny.model().parameters)


def test_ctrl_c_keeps_the_best_weights_where_no_checkpoint_can_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(recipe: Recipe, state: training.State) -> bytes:
        if state.epoch == 3:
            signal.raise_signal(signal.SIGINT)
        return recorded(recipe, state)

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".checkpoint":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    recorded, write = checkpoint.to_bytes, artifact.write_atomically
    monkeypatch.setattr(checkpoint, "to_bytes", interrupted)
    monkeypatch.setattr(artifact, "write_atomically", full)
    out = tmp_path / "model.npz"
    outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 130
    assert "No checkpoint was written" in outcome.err
    assert "--resume" not in outcome.err
    assert len(artifact.load(out).card["history"]) == 2


def test_a_run_that_diverges_keeps_the_best_weights_of_before(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "model.npz"
    steep = dataclasses.replace(RECIPE, learning_rate=10.0, momentum=0.999, l2=0.1, schedule="constant", epochs=100, batch_size=1000)
    outcome = run("train", "--out", out, *options(steep))
    assert outcome.code == 1
    assert all(words in " ".join(outcome.err.split()) for words in ("the weights grew so large", "lower learning_rate"))
    history = artifact.load(out).card["history"]
    assert 1 <= len(history) < 100
    assert list(tmp_path.iterdir()) == [out]


def test_a_run_that_comes_to_no_end_does_not_replace_an_earlier_model(run: Run, tmp_path: Path) -> None:
    out, saved = tmp_path / "model.npz", tmp_path / "model.npz.checkpoint"
    assert run("train", "--out", out, *options(RECIPE)).code == 0
    before = out.read_bytes()
    steep = dataclasses.replace(RECIPE, learning_rate=10.0, momentum=0.999, l2=0.1, schedule="constant", epochs=100, batch_size=1000)
    for more in (options(steep), ["--resume"]):
        outcome = run("train", "--out", out, *more)
        assert (outcome.code, out.read_bytes()) == (1, before)
        assert f"{out} is as it was before; {saved} has what was trained." in outcome.err
    saved.unlink()
    assert run("train", "--out", out, *options(dataclasses.replace(RECIPE, epochs=1))).code == 0
    assert out.read_bytes() != before


def test_a_run_that_diverges_at_once_names_no_checkpoint(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "model.npz"
    out.write_bytes(DAMAGED)
    wild = dataclasses.replace(RECIPE, learning_rate=10.0, momentum=0.999, l2=0.1, schedule="constant", batch_size=16)
    assert f"{out} is as it was before." in run("train", "--out", out, *options(wild)).err
    assert list(tmp_path.iterdir()) == [out]


def test_a_checkpoint_that_comes_while_the_data_is_read_is_left_alone(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_slowly(folder: Path) -> TrainingData:
        checkpoint_after(1, out)
        return load(folder)

    out, load = tmp_path / "model.npz", data.load_training
    monkeypatch.setattr(data, "load_training", read_slowly)
    assert "is of a run that did not end" in refusal(run("train", "--out", out, *options(RECIPE)))
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz.checkpoint"]


def test_a_run_that_is_stopped_again_and_again_replaces_what_it_wrote_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_epochs(recipe: Recipe, *rest: Any) -> Iterator[training.Epoch]:
        yield from itertools.islice(trained(recipe, *rest), 2)
        signal.raise_signal(signal.SIGINT)

    out, trained = tmp_path / "model.npz", training.train
    longer = dataclasses.replace(RECIPE, epochs=6)
    with monkeypatch.context() as patch:
        patch.setattr(training, "train", two_epochs)
        assert run("train", "--out", out, *options(longer)).code == 130
        assert run("train", "--out", out, "--resume").code == 130
    assert len(artifact.load(out).card["history"]) == 4
    out.with_name(out.name + ".checkpoint").unlink()
    whole = out.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(training, "train", two_epochs)
        outcome = run("train", "--out", out, *options(longer))
    assert (outcome.code, out.read_bytes()) == (130, whole), "it had come further"
    assert f"Interrupted after epoch 2. {out} is as it was before. Go on with" in outcome.err


def test_a_run_goes_on_with_no_other_images(run: Run, tmp_path: Path) -> None:
    other = TrainingData(*(array[::-1].copy() for array in dataclasses.astuple(tiny.training_data())))
    out, state = tmp_path / "model.npz", training.State.fresh(RECIPE)
    next(training.train(RECIPE, other, state))
    kept = out.with_name(out.name + ".checkpoint")
    kept.write_bytes(checkpoint.to_bytes(RECIPE, state))
    outcome = run("train", "--out", out, "--resume")
    assert outcome.code == 1
    assert "Error: the checkpoint is of a run on other images; set ROOKIE_DATA_DIR" in " ".join(outcome.err.split())
    assert list(tmp_path.iterdir()) == [kept]


def test_a_loss_beyond_all_use_ends_a_run_and_no_card_has_it(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "model.npz"
    plain = dataclasses.replace(RECIPE, schedule="constant", average=0.0, epochs=40, batch_size=1000)
    lost = dataclasses.replace(plain, learning_rate=2.0, momentum=0.9, l2=0.1)
    outcome = run("train", "--out", out, *options(lost))
    assert (outcome.code, "lower learning_rate" in outcome.err) == (1, True)
    assert run("card", out).code == 0


def test_a_full_disk_costs_neither_the_training_nor_the_old_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "model.npz"
    out.write_bytes(DAMAGED)
    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr("model_core.run.CHECKPOINT_SECONDS", 0)
    outcome = run("train", "--out", out, *options(RECIPE))
    assert outcome.code == 1
    assert outcome.err.count("No checkpoint was written: [Errno 28] No space left on device") == RECIPE.epochs + 1
    assert "Error: [Errno 28] No space left on device" in outcome.err
    assert out.read_bytes() == DAMAGED
    assert list(tmp_path.iterdir()) == [out]
