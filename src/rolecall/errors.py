"""The errors that rolecall raises. Each says what is wrong, where, and what to do."""


class RolecallError(Exception):
    """An error that the user can fix. Its text needs no context: pytest shows it without a traceback."""


class GridError(RolecallError):
    """A grid that cannot be read. The text begins with ``file:line``."""


class MigrationError(RolecallError):
    """A migrations folder with a wrong layout."""


class UnavailableError(RolecallError):
    """The run has no databases, so no test can run."""


class SqlError(RolecallError):
    """A statement in an SQL file that the server refused; see :func:`rolecall.sql.files.run`.

    ``sqlstate`` is the server's code. ``path`` and ``line`` say where the statement is.
    """

    def __init__(self, text: str, *, sqlstate: str | None, path: str, line: int) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.path = path
        self.line = line
