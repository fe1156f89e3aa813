"""Model versions: their weights, their cards, and which one is current."""

import sqlalchemy as sa

from app.store import Row, now
from app.store.schema import activations, meta, models
from model_core import Model, artifact

_SUMMARY = [column for column in models.c if column.name not in ("weights", "card")]


KEPT_PREDECESSORS = 3  # versions that served before the current one
KEPT_ACTIVATIONS = 1000  # changes of the current version


def current_version(db: sa.Connection) -> int | None:
    """The version that serves; None in an empty database."""
    return db.scalar(sa.select(activations.c.version).order_by(activations.c.id.desc()).limit(1))


def predecessors(db: sa.Connection, count: int | None = None) -> list[int]:
    """The versions that served before the current one, last first, each once; all of them where no `count` is given."""
    current = current_version(db)
    last_served = sa.func.max(activations.c.id)
    served = sa.select(activations.c.version).where(activations.c.version != current).group_by(activations.c.version)
    return list(db.scalars(served.order_by(last_served.desc()).limit(count)))


def candidates(db: sa.Connection) -> list[int]:
    """Every version, the likeliest to serve first: the current one, those before it, the newest shipped one, the newest of all others."""
    served = [current_version(db), *predecessors(db)]
    others = db.scalars(sa.select(models.c.version).order_by(models.c.source != "shipped", models.c.version.desc()))
    return [version for version in dict.fromkeys([*served, *others]) if version is not None]


def find(db: sa.Connection, version: int) -> Row | None:
    """One version with its card, without its weights."""
    return db.execute(sa.select(*_SUMMARY, models.c.card).where(models.c.version == version)).one_or_none()


def weights(db: sa.Connection, version: int) -> bytes | None:
    """A version's .npz file."""
    return db.scalar(sa.select(models.c.weights).where(models.c.version == version))


def stored_bytes(db: sa.Connection) -> int:
    """How many bytes the files of all versions have."""
    total: int | None = db.scalar(sa.select(sa.func.sum(sa.func.length(models.c.weights))))
    return int(total or 0)


def newest_first(db: sa.Connection, limit: int = 1000) -> list[Row]:
    """All versions, without cards and weights."""
    return list(db.execute(sa.select(*_SUMMARY).order_by(models.c.version.desc()).limit(limit)))


def version_with(db: sa.Connection, sha256: str) -> int | None:
    """The newest version whose file has that digest."""
    version: int | None = db.scalar(sa.select(sa.func.max(models.c.version)).where(models.c.sha256 == sha256))
    return version


def was_shipped(db: sa.Connection, sha256: str) -> bool:
    """Whether a file of that digest was taken in as a shipped model before; it may have been removed since."""
    return db.scalar(sa.select(meta.c.value).where(meta.c.key == sha256)) is not None


def note_shipped(db: sa.Connection, sha256: str) -> None:
    """Remember that a file of that digest was taken in."""
    if not was_shipped(db, sha256):
        db.execute(meta.insert().values(key=sha256, value="shipped"))


def add(db: sa.Connection, model: Model, content: bytes, source: str, job: int | None = None) -> int:
    """Keep a model and its file; its version. It does not serve yet."""
    metrics = model.card["metrics"]
    row = models.insert().values(
        sha256=artifact.sha256(content),
        source=source,
        job=job,
        created=now(),
        validation_accuracy=metrics["validation_accuracy"],
        test_accuracy=metrics["test_accuracy"],
        card=model.card,
        weights=content,
    )
    version: int = db.execute(row.returning(models.c.version)).scalar_one()
    return version


def activate(db: sa.Connection, version: int, reason: str) -> None:
    """Let `version` serve; every serving process follows within its watcher's interval. Of long ago only each one's last time is kept."""
    row = activations.insert().values(version=version, activated=now(), reason=reason).returning(activations.c.id)
    newest: int = db.execute(row).scalar_one()
    last_times = sa.select(sa.func.max(activations.c.id)).group_by(activations.c.version)
    db.execute(activations.delete().where(activations.c.id <= newest - KEPT_ACTIVATIONS, activations.c.id.not_in(last_times)))


def withdraw(db: sa.Connection, version: int) -> None:
    """Forget that a version ever served: the one before it is current again."""
    db.execute(activations.delete().where(activations.c.version == version))


def remove(db: sa.Connection, version: int) -> None:
    """Forget a version that does not serve, and that it ever did."""
    withdraw(db, version)
    db.execute(models.delete().where(models.c.version == version))


def prune(db: sa.Connection, keep: int) -> list[int]:
    """Forget all versions but the current one, its last predecessors and the newest `keep`: what went."""
    newest = db.scalars(sa.select(models.c.version).order_by(models.c.version.desc()).limit(keep))
    kept = {current_version(db), *predecessors(db, KEPT_PREDECESSORS), *newest}
    gone = [version for version in db.scalars(sa.select(models.c.version)) if version not in kept]
    for version in gone:
        remove(db, version)
    return gone
