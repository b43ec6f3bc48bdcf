"""The errors that rolecall raises: what happened, what was looked at, and what to do."""


class RolecallError(Exception):
    """Something that the user can mend. Its text stands alone: pytest shows it without a traceback."""


class GridError(RolecallError):
    """A grid that cannot be read; the text begins with ``file:line``."""


class MigrationError(RolecallError):
    """A migrations folder that is not laid out as it must be."""


class UnavailableError(RolecallError):
    """The databases of the run cannot be had: no test can run."""


class SqlError(RolecallError):
    """A statement in an SQL file that the server refused; see :func:`rolecall.sql.files.run`.

    ``sqlstate`` is the server's code, ``path`` and ``line`` say where the statement stands.
    """

    def __init__(self, text: str, *, sqlstate: str | None, path: str, line: int) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.path = path
        self.line = line
