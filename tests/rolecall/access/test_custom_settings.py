"""Custom settings are '' before the first test, as on a connection of a pool."""

from __future__ import annotations

from rolecall.access.custom_settings import initialize
from rolecall.worker import Worker

READ = "SELECT current_setting('app.tenant', true), current_setting('app.branch', true)"


def test_a_name_that_an_extension_reserves_does_not_stop_the_others(toy_built: Worker) -> None:
    with toy_built.scratch(migrated=False) as scratch:
        assert scratch.connection.execute(READ).fetchone() == (None, None)
        scratch.connection.execute("DO $$ BEGIN END $$")  # loads PL/pgSQL, which reserves its prefix
        initialize(scratch.connection, ["app.tenant", "plpgsql.tenant", "app.branch"])
        assert scratch.connection.execute(READ).fetchone() == ("", "")
