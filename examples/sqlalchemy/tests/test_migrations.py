import io
from pathlib import Path

from alembic import command
from alembic.config import Config

ROOT = Path(__file__).parents[1]


def test_all_sql_is_what_alembic_writes():
    written = io.StringIO()
    command.upgrade(Config(ROOT / "alembic.ini", output_buffer=written), "head", sql=True)
    message = "write it again: alembic upgrade head --sql > migrations/all.sql"
    assert (ROOT / "migrations/all.sql").read_text() == written.getvalue(), message
