"""Each script must run alone, so the scripts have copies of some text: the copies must stay equal."""

from __future__ import annotations

import re

import pytest

from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, read

# A whole verify.sql: the phase, the list, and the engine between two comments.
VERIFY = re.compile(
    r"""(--.*\n)+
DO \$\$
DECLARE
  phase CONSTANT integer := (?P<phase>\d);

(  --.*\n)+  expected_list CONSTANT text := \$list\$
(.*\n)+?\$list\$;

(?P<engine>  -- The engine: .*\n(.*\n)+  -- The end of the engine\.\n)END
\$\$;
"""
)

# The check of the shape of a table, and the CREATE TABLE after it.
SHAPE = re.compile(
    r"""(?P<head>-- IF NOT EXISTS, .*
DO \$\$
DECLARE
  table_name CONSTANT text := )'(?P<table>.+)';
  columns CONSTANT text\[\] := ARRAY\[
(    '.+\n)+(?P<check>  \];
(.*\n)+?\$\$;
)
CREATE TABLE IF NOT EXISTS (?P=table) \(
"""
)


@pytest.fixture
def phases(pytestconfig: pytest.Config) -> tuple[Phase, ...]:
    """The phases as they are on disk."""
    folder = read_settings(pytestconfig).migrations
    assert folder
    return read(folder)


def test_every_verify_has_the_same_engine(phases: tuple[Phase, ...]) -> None:
    engines = set()
    for phase in phases:
        match = VERIFY.fullmatch(phase.verify.path.read_text(encoding="utf-8"))
        assert match, f"{phase.verify.id} must have only a phase, a list and the engine"
        assert int(match["phase"]) == phase.number
        engines.add(match["engine"])
    assert len(engines) == 1


def test_every_table_has_the_same_shape_check(phases: tuple[Phase, ...]) -> None:
    texts = [step.path.read_text(encoding="utf-8") for phase in phases for step in phase.steps]
    checks = [match for text in texts for match in SHAPE.finditer(text)]
    assert len(checks) == sum(text.count("CREATE TABLE") for text in texts) == 5
    assert len({match["head"] + match["check"] for match in checks}) == 1
