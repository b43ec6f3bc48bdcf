"""What uses the types compiles, and the plan's example does not."""

from __future__ import annotations

import re

from tests.types import node


def compile_errors(folder: str) -> list[str]:
    """The errors that tsc reports for a folder of ``types/``, one line each."""
    done = node.run(node.TYPESCRIPT, "--pretty", "false", "-p", folder)
    errors = [line for line in done.stdout.splitlines() if re.match(r"\S+\(\d+,\d+\): ", line)]
    assert bool(errors) == bool(done.returncode), done.stdout + done.stderr
    return errors


def test_an_application_that_uses_everything_compiles() -> None:
    assert compile_errors(".") == []


def test_the_programs_of_the_folder_compile() -> None:
    """Node.js runs them without looking at their types."""
    assert compile_errors("app") == []


def test_it_uses_every_table_view_and_function() -> None:
    """The list comes from the catalog: see test_generated.py."""
    done = node.run("unused.ts")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_plans_example_does_not_compile() -> None:
    """Finding F28: the schema is no part of a function's name, and the parameters begin with p_."""
    name, parameter = compile_errors("plan")
    assert re.match(r"plan/example\.ts\(10,\d+\): error TS2345: .*'\"communication\.send_notification\"'", name)
    assert re.match(r"plan/example\.ts\(18,\d+\): error TS2561: .*'recipient_id' does not exist", parameter)
    assert "Did you mean to write 'p_recipient_id'?" in parameter
