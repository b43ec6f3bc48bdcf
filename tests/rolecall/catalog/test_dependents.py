"""Which tables and views use an object."""

from __future__ import annotations

import pytest

from rolecall.catalog.dependents import dependents
from rolecall.worker import Worker

MORE = """
CREATE FUNCTION shop.indirect() RETURNS text LANGUAGE sql STABLE RETURN shop.me();
CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE shop.shelf (id int);
CREATE POLICY "through a function" ON shop.shelf USING (shop.indirect() = 'alice');
CREATE TRIGGER stop BEFORE DELETE ON shop.shelf FOR EACH ROW EXECUTE FUNCTION shop.stop();
CREATE TABLE shop.sign (id int);
CREATE POLICY "through a table" ON shop.sign USING (EXISTS (SELECT FROM shop.shelf));
CREATE VIEW shop.shown AS SELECT id FROM shop.titles;
CREATE FUNCTION shop.helper() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'alice' $$;
CREATE FUNCTION shop."the helper"() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'alice' $$;
CREATE FUNCTION shop.textual() RETURNS text LANGUAGE plpgsql STABLE SET search_path = shop
AS $$ BEGIN RETURN CASE WHEN HELPER() = "the helper"() THEN 'alice' END; END $$;
CREATE TABLE shop.post (id int) PARTITION BY LIST (id);
CREATE TABLE shop.post_1 PARTITION OF shop.post FOR VALUES IN (1);
CREATE POLICY "through a text" ON shop.post USING (shop.textual() = 'alice');
"""


@pytest.mark.parametrize(
    ("name", "users"),
    [
        pytest.param("shop.stop", {"shop.shelf", "shop.sign"}, id="a trigger, and a policy that reads its table"),
        pytest.param("shop.indirect", {"shop.shelf", "shop.sign"}, id="a policy"),
        pytest.param("shop.titles", {"shop.shown"}, id="a view"),
        pytest.param("shop.helper", {"shop.post"}, id="the text of a function"),
        pytest.param("shop.the helper", {"shop.post"}, id="a quoted name in the text of a function"),
        pytest.param("shop.post_1", {"shop.post"}, id="a partition"),
        pytest.param("shop.me", {"shop.notes", "shop.shelf", "shop.sign", "shop.titles", "shop.shown"}, id="all"),
    ],
)
def test_the_users_of_an_object_are_known(toy_worker: Worker, name: str, users: set[str]) -> None:
    toy_worker.connection.execute(MORE)
    assert set(dependents(toy_worker.connection)[name]) == users
