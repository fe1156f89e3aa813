"""Whether a new model is to serve: only if it is at least as good on the validation images as the one that serves now."""

from typing import Any

import sqlalchemy as sa

from app.store import Store, models
from model_core import artifact, metrics
from model_core.data import TrainingData
from model_core.errors import ArtifactError


class Gate:
    """Compares a new model with the current one, which is scored here: a card's own claims are never trusted."""

    def __init__(self, store: Store, promote: str, data: TrainingData) -> None:
        self._store, self._promote, self._data = store, promote, data
        self.current: int | None = None  # the version that was measured
        self._accuracy: float | None = None  # of the current model; None where there is none that works

    def score_current(self) -> None:
        """Measure the version that serves now."""
        with self._store.read() as db:
            self.current = models.current_version(db)
            content = None if self.current is None else models.weights(db, self.current)
        self._accuracy = None if content is None else self._score(content)

    def is_settled(self, db: sa.Connection) -> bool:
        """Whether the version that was measured is still the one that serves."""
        return models.current_version(db) == self.current

    def judge(self, accuracy: float) -> dict[str, Any]:
        """Whether a model with that validation accuracy is promoted, and why."""
        if self._promote == "never":
            return {"promoted": False, "reason": "the request said promote: never"}
        if self._promote == "always":
            return {"promoted": True, "reason": "the request said promote: always"}
        if self._accuracy is None:
            return {"promoted": True, "reason": f"validation {accuracy:.2%}, and no other model serves"}
        better = accuracy >= self._accuracy
        relation = "is at least" if better else "is under"
        return {"promoted": better, "reason": f"validation {accuracy:.2%} {relation} the serving model's {self._accuracy:.2%}"}

    def _score(self, content: bytes) -> float | None:
        try:
            model = artifact.from_bytes(content, f"version {self.current}")
        except ArtifactError:
            return None
        return metrics.accuracy(model.predict_proba(self._data.validation_images), self._data.validation_labels)
