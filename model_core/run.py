"""A run of `python -m model_core train`: checkpoints beside its weights file on the way, that file at the end, whatever ends it."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import model_core
from model_core import artifact, card, checkpoint, console, training
from model_core.data import LabelledImages, TrainingData
from model_core.errors import ArtifactError, DivergenceError
from model_core.recipe import Recipe
from model_core.training import State

CHECKPOINT_SECONDS = 30


def checkpoint_beside(out: Path) -> Path:
    """Where a run that is interrupted leaves what it has trained."""
    return out.with_name(out.name + ".checkpoint")


@dataclass
class Run:
    """What it needs, and where it stands. `hashes` are the dataset's files' SHA-256, `out` is where the weights go."""

    recipe: Recipe
    state: State
    images: TrainingData
    test: LabelledImages
    hashes: dict[str, str]
    out: Path

    def to_the_end(self) -> None:
        """Train and write what came of it; say how to go on where it was stopped. Raises DivergenceError, and SystemExit for a stop."""
        saved = checkpoint_beside(self.out)
        ended_by = self._train()
        spared = ended_by is not None and self._would_lose()
        try:
            if self.state.epoch and not spared:
                self._write()
        except SystemExit as stop:
            ended_by = stop
        if isinstance(ended_by, SystemExit):
            way_on = f" Go on with: python -m model_core train --out {self.out} --resume" if saved.exists() else ""
            console.complain(f"Interrupted after epoch {self.state.epoch}.{f' {self.out} is as it was before.' if spared else ''}{way_on}")
            raise ended_by
        if spared:
            console.complain(f"{self.out} is as it was before{f'; {saved} has what was trained' if saved.exists() else ''}.")
        else:
            saved.unlink(missing_ok=True)
        if ended_by:
            raise ended_by

    def _train(self) -> SystemExit | DivergenceError | None:
        """Train, checkpointing on the way: what came before the end, if anything did. The state is that after the last whole epoch."""
        saved_at = time.monotonic()
        snapshot = checkpoint.to_bytes(self.recipe, self.state)
        try:
            for epoch in console.follow(training.train(self.recipe, self.images, self.state), self.state.epoch, self.recipe.epochs):
                snapshot = checkpoint.to_bytes(self.recipe, epoch.state)
                if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                    self._save(snapshot)
                    saved_at = time.monotonic()
            self._save(snapshot)  # what comes now can fail, too
        except (SystemExit, DivergenceError) as early:
            self.state = checkpoint.from_bytes(snapshot, "the last epoch")[1]  # the other one may be within an epoch
            if self.state.epoch:
                self._save(snapshot)
            return early
        return None

    def _save(self, snapshot: bytes) -> None:
        """Write a checkpoint; where it cannot be written, the training goes on without."""
        try:
            artifact.write_atomically(checkpoint_beside(self.out), snapshot)
        except OSError as error:
            console.complain(f"No checkpoint was written: {error}")

    def _would_lose(self) -> bool:
        """Whether OUT holds anything but what this run had written when it was stopped before: only a whole run replaces that."""
        if not self.out.exists():
            return False
        try:
            found = card.load(self.out).card
        except ArtifactError:
            return True
        return Recipe.from_record(found["recipe"]) != self.recipe or len(found["history"]) > self.state.epoch

    def _write(self) -> None:
        """Score the best weights on the test set and save them."""
        model = card.finish(
            self.recipe,
            self.state,
            self.images,
            self.test,
            self.hashes,
            datetime.now(UTC),
            card.environment(os.environ),
            model_core.__version__,
        )
        digest = artifact.save(model, self.out)
        scores = model.card["metrics"]
        console.say(f"{self.out}: epoch {self.state.best_epoch} of {self.state.epoch}, seed {self.recipe.seed}, sha256 {digest}")
        console.say(f"validation {scores['validation_accuracy']:.2%}, test {scores['test_accuracy']:.2%}")
