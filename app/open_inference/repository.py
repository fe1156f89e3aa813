"""The protocol's model repository: the versions that there are, and which one a client asks to have loaded."""

import json
import re
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from app import serving
from app.errors import InferenceError, NotFoundError
from app.open_inference.description import MODEL
from app.store import Store, models


def index(db: sa.Connection, ready_only: bool) -> list[dict[str, str]]:
    """All versions, oldest first; the one that serves is READY."""
    current = models.current_version(db)
    versions = [row.version for row in reversed(models.newest_first(db))]
    return [
        {"name": MODEL, "version": str(version)}
        | ({"state": "READY"} if version == current else {"state": "UNAVAILABLE", "reason": "unloaded"})
        for version in versions
        if version == current or not ready_only
    ]


def check(store: Store, version: int | None) -> None:
    """Raise ArtifactError or DamagedError where no service could load the version that a client asks for, if it is there."""
    if version is not None:
        with suppress(NotFoundError):
            serving.check(store, version)


def activate(db: sa.Connection, version: int | None) -> int:
    """Let the version serve that a client asks for: the one that does already where it names none."""
    current = models.current_version(db)
    wanted = current if version is None else version
    if wanted is None or models.find(db, wanted) is None:
        raise NotFoundError(f"failed to load '{MODEL}': there is no version {wanted}")
    if wanted != current:
        models.activate(db, wanted, "loaded by request")
    return wanted


def wanted_version(document: dict[str, Any]) -> int | None:
    """The version that a load request names, as its parameter `version` or in its `config` as Triton's version policy."""
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InferenceError("'parameters' must be an object")
    if any(name.startswith("file:") for name in parameters):
        raise InferenceError("models come in by POST /models, which checks and scores them; load takes no files")
    found = parameters.get("version")
    if "config" in parameters:
        found = _policy_version(parameters["config"])
    if found is None:
        return None
    digits = str(found).lstrip("0")
    if isinstance(found, bool) or not re.fullmatch(r"[1-9][0-9]{0,9}", digits) or int(digits) >= 2**31:
        raise InferenceError(f"the version to load is {str(found)[:50]!r}; it must be a whole number from 1")
    return int(digits)


def _policy_version(config: Any) -> Any:
    try:
        policy = json.loads(config).get("version_policy")
        if policy is None:
            return None
        versions = policy["specific"]["versions"]
        (version,) = versions if isinstance(versions, list) else []
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise InferenceError(
            'the config to load must be JSON; {"version_policy": {"specific": {"versions": [3]}}} names a version'
        ) from error
    return version
