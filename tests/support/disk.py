"""A disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

LARGEST_FILE = 500  # bytes


@contextmanager
def full() -> Iterator[None]:
    """Within the block, what is written to any file beyond its first bytes is an OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
