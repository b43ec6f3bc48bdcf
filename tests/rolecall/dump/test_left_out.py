"""What was left out is shown in groups, what a test may notice first."""

from __future__ import annotations

from rolecall.dump.left_out import GROUPS, LeftOut, lines

LEFT_OUT = [
    LeftOut("owner", "team_ops", "dump.sql:30", "ALTER TABLE public.b OWNER TO team_ops"),
    LeftOut("stand-in", "pg_net", "dump.sql:7", "CREATE EXTENSION pg_net"),
    LeftOut("owner", "team_ops", "dump.sql:9", "ALTER TABLE public.a OWNER TO team_ops"),
]


def test_each_group_is_a_line_with_the_number_of_its_statements() -> None:
    assert list(lines(LEFT_OUT, verbose=False)) == [
        "   1  replaced by a stand-in: pg_net",
        "   2  owners that do not exist here, or are superusers: team_ops",
    ]


def test_verbose_lists_each_statement_with_its_line() -> None:
    assert list(lines(LEFT_OUT, verbose=True)) == [
        "   1  replaced by a stand-in: pg_net",
        "        dump.sql:7: CREATE EXTENSION pg_net",
        "   2  owners that do not exist here, or are superusers: team_ops",
        "        dump.sql:30: ALTER TABLE public.b OWNER TO team_ops",
        "        dump.sql:9: ALTER TABLE public.a OWNER TO team_ops",
    ]


def test_no_more_than_twelve_names_are_shown() -> None:
    many = [LeftOut("grant", f"role{number}", "dump.sql:1", "GRANT") for number in range(15)]
    (line,) = lines(many, verbose=False)
    assert line.startswith(f"  15  {GROUPS['grant']}: role0, role1, ")
    assert line.endswith(", role11 and 3 more")
