"""The tables. A model version and its weights are one row, so publishing is one transaction and a replica needs only the URL."""

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

VERSION = 2  # of this schema; a database with a newer one is refused, an older one is migrated

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

models = Table(
    "models",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("source", String(16), nullable=False),  # shipped, trained, uploaded
    Column("job", Integer, ForeignKey("jobs.id")),
    Column("created", String(32), nullable=False),  # RFC 3339, UTC, as all times here
    Column("validation_accuracy", Float, nullable=False),
    Column("test_accuracy", Float, nullable=False),
    Column("card", JSON, nullable=False),
    Column("weights", LargeBinary, nullable=False),  # the whole .npz
    sqlite_autoincrement=True,  # a version's number is never used again
)

# One row for each change of the current model; the last one counts, those before it are the way back.
activations = Table(
    "activations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, ForeignKey("models.version"), nullable=False),
    Column("activated", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("status", String(16), nullable=False, index=True),
    Column("stage", String(32)),
    Column("recipe", JSON, nullable=False),
    Column("promote", String(16), nullable=False),
    Column("idempotency_key", String(255), unique=True),
    Column("request_digest", String(64)),  # of what came with the key
    Column("created", String(32), nullable=False),
    Column("started", String(32)),
    Column("finished", String(32)),
    Column("epoch", Integer, nullable=False, default=0),
    Column("epoch_seconds", Float),  # of the last epoch
    Column("metrics", JSON),
    Column("version", Integer),
    Column("promotion", JSON),
    Column("error", JSON),
    # Who works on it: every write of a trainer is conditional on its attempt, so that one that was replaced writes nothing.
    Column("attempt", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),  # attempts that ended without progress, in a row
    Column("heartbeat", Integer, nullable=False, default=0),  # a counter: clocks are not compared
    sqlite_autoincrement=True,
)

epochs = Table(
    "epochs",
    metadata,
    Column("job", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("record", JSON, nullable=False),
)

# What happened to a job, for those who follow it. Writers take turns, so events become visible in the order of their numbers.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", Integer, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # status, epoch, done
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,
)

# Where a job's training can be taken up again; gone when the job ends.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("job", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

NUMBERED = (models, activations, jobs, events)  # their rows' numbers are never given twice
