"""An empty database."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from app.store import Store


@pytest.fixture
def db() -> Iterator[sa.Connection]:
    """A connection that writes to an empty database in memory."""
    with closing(Store("sqlite://")) as store:
        store.prepare()
        with store.write() as connection:
            yield connection
