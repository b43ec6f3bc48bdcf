"""rolecall: a pytest plugin that signs in to Postgres as each of your users and tries."""

from rolecall.errors import RolecallError
from rolecall.grid import Grid, grid
from rolecall.session import Persona, Session
from rolecall.world import Row, World

__all__ = ["Grid", "Persona", "RolecallError", "Row", "Session", "World", "grid"]
