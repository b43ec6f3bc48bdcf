"""rolecall: a pytest plugin that signs in to Postgres as each of your users and tries."""

from rolecall.access.session import Persona, Session
from rolecall.access.world import Row, World
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid, grid

__all__ = ["Grid", "Persona", "RolecallError", "Row", "Session", "World", "grid"]
