"""Which of several functions of one name a statement calls."""

from __future__ import annotations

import pytest

from rolecall.catalog import overloads
from rolecall.coverage.calls import called
from rolecall.worker import Worker

FUNCTIONS = """
CREATE FUNCTION app.get() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.get(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.get(b text) RETURNS TABLE (c int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.get(a int, flag bool, size int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.get(a int, b int, VARIADIC rest int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.get(list uuid[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.get(a int, b text, OUT c int, OUT d int) LANGUAGE plpgsql AS 'BEGIN c := 1; d := 1; END';
CREATE FUNCTION app.other() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""
NONE, INT, TEXT, LIST = "", "a integer", "b text", "list uuid[]"
FLAG, REST = "a integer, flag boolean, size integer", "a integer, b integer, VARIADIC rest integer[]"
PROCEDURE = "IN a integer, IN b text, OUT c integer, OUT d integer"
ALL = {NONE, INT, TEXT, LIST, FLAG, REST, PROCEDURE}
EXAMPLES = {
    "SELECT app.get()": {NONE},
    "SELECT app.get(1)": {INT},
    "SELECT app.get(%s::int)": {INT},
    "SELECT * FROM app.get('x') AS g, app.other()": {TEXT},
    "SELECT app.get(b => NULL)": {TEXT},
    "SELECT app.get(NULL::uuid[])": {LIST},
    "SELECT app.get(%(value)s)": {INT, TEXT, LIST},
    "SELECT app.get(1, true)": {FLAG},
    "SELECT app.get(1, size => 2, flag => NULL)": {FLAG},
    "SELECT app.get(1, 2, 3, 4, 5)": {REST},
    "SELECT app.get(1, 2, VARIADIC ARRAY[3])": {REST},
    "SELECT app.get(1), app.get('x')": {INT, TEXT},
    "CALL app.get(1, 'x', NULL, NULL)": {PROCEDURE},
    'SELECT "app"."get"(1)': {INT},
    "SELECT app.get(1) WHERE EXISTS (SELECT FROM app.get())": {INT, NONE},
    "DO $$ BEGIN PERFORM app.get(); END $$": ALL,
    "SELECT app.get(": ALL,
}


@pytest.fixture(scope="module")
def functions(toy_built: Worker) -> list[overloads.Overload]:
    connection = toy_built.connection
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA app")
        connection.execute(FUNCTIONS)
        return overloads.read(connection, ["app.get", "app.other"])


def test_a_function_that_is_alone_with_its_name_is_no_overload(functions: list[overloads.Overload]) -> None:
    assert {each.name for each in functions} == {"app.get"}


def test_a_signature_has_the_schema(toy_worker: Worker) -> None:
    """As the signatures of grants have it, which are read without a search_path."""
    toy_worker.connection.execute("SET LOCAL search_path = shop")
    toy_worker.connection.execute("CREATE FUNCTION me(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    found = overloads.read(toy_worker.connection, ["shop.me"])
    assert [each.signature for each in found] == ["shop.me()", "shop.me(integer)"]
    assert toy_worker.connection.execute("SHOW search_path").fetchall() == [("shop",)]


@pytest.mark.parametrize(("statement", "meant"), EXAMPLES.items(), ids=EXAMPLES)
def test_the_arguments_tell_functions_apart(
    functions: list[overloads.Overload], statement: str, meant: set[str]
) -> None:
    assert called(statement, functions) == {f"app.get({arguments})" for arguments in meant}
