"""python -m app.backup FILE.db: copy the whole database, SQLite or PostgreSQL, into one new SQLite file, while the service runs.

To go back to it: ROOKIE_DATABASE_URL=sqlite:///FILE.db, or put it in place of rookie.db in a stopped service's ROOKIE_STATE_DIR.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from app.settings import Settings, SettingsError
from app.store import Store, StoreError
from app.store.backup import back_up


def main(arguments: list[str]) -> None:
    """Copy, and say how much; a refusal is one line."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: python -m app.backup FILE.db")
    target = Path(arguments[0])
    try:
        with closing(Store(Settings.from_environ(os.environ).store_url, make=False)) as store:
            rows = back_up(store, target)
    except (SettingsError, StoreError) as error:
        sys.exit(f"rookie: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        print(f"{target}: {rows} rows of {store.shown_url}", flush=True)  # noqa: T201
    except OSError as error:
        sys.exit(f"rookie: {target} is written; what was to be said of it was not: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
