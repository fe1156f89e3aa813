"""A database of each kind."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from app.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty database with our tables."""
    with closing(Store(database_url)) as store:
        store.prepare()
        yield store


@pytest.fixture
def db(store: Store) -> Iterator[sa.Connection]:
    """A connection that writes to an empty database."""
    with store.write() as connection:
        yield connection
