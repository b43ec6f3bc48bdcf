"""Unusual tables and views: partitions, rules, odd names and keys, deferred constraints."""

from __future__ import annotations

from tests.awkward.shape import HERS, NOTES, OWN, Shape, usual

SOFT = """
CREATE FUNCTION shop.soft() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN
    RETURN OLD;  -- a move to another partition deletes here and inserts there
  END IF;
  UPDATE {t} SET gone = true WHERE id = OLD.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER soft BEFORE DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION shop.soft();
"""
PARTITIONED = """
CREATE TABLE shop.notes (id int, author text, body text, gone bool DEFAULT false) PARTITION BY LIST (gone);
CREATE TABLE shop.notes_here PARTITION OF shop.notes FOR VALUES IN (false);
CREATE TABLE shop.notes_gone PARTITION OF shop.notes FOR VALUES IN (true);
""" + OWN.format(t="shop.notes")
LONG = "a table whose name is longer than the sixty-three bytes that PostgreSQL keeps of it"

TABLES = {
    "a soft delete that moves the row to the same place of another partition": Shape(
        PARTITIONED + SOFT.format(t="shop.notes"), row=HERS | {"gone": False}
    ),
    "an update that moves the row to another partition": Shape(
        PARTITIONED, options={"update": "gone = true"}, row=HERS | {"gone": False}
    ),
    "a key with the column of the partitions": Shape(
        "CREATE TABLE shop.notes (id int, author text, body text, gone bool, PRIMARY KEY (gone, id))"
        " PARTITION BY LIST (gone);"
        "CREATE TABLE shop.notes_here PARTITION OF shop.notes FOR VALUES IN (false);"
        "CREATE TABLE shop.notes_gone PARTITION OF shop.notes FOR VALUES IN (true);" + OWN.format(t="shop.notes"),
        row=HERS | {"gone": False},
        options={"key": ("gone", "id")},
    ),
    "a key that a CHECK of another child table excludes": Shape(
        NOTES + "CREATE TABLE shop.drafts (CHECK (id > 100)) INHERITS (shop.notes);"
    ),
    "partitions of partitions": Shape(
        "CREATE TABLE shop.notes (id int, author text, body text) PARTITION BY LIST (author);"
        "CREATE TABLE shop.notes_a PARTITION OF shop.notes FOR VALUES IN ('alice') PARTITION BY RANGE (id);"
        "CREATE TABLE shop.notes_a1 PARTITION OF shop.notes_a FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE shop.notes_b PARTITION OF shop.notes DEFAULT;" + OWN.format(t="shop.notes")
    ),
    "a row in a child table": Shape(
        NOTES + "CREATE TABLE shop.drafts () INHERITS (shop.notes); GRANT INSERT ON shop.drafts TO toy_migrator;"
        "CREATE FUNCTION shop.redirect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
        " BEGIN INSERT INTO shop.drafts SELECT NEW.*; RETURN NULL; END $$;"
        "CREATE TRIGGER redirect BEFORE INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.redirect();",
        # The policy for inserts runs after the trigger, which cancels the insert.
        usual("yes  yes  yes  yes", "-  yes  -  -"),
    ),
    "generated and identity columns": Shape(
        "CREATE TABLE shop.notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author text UNIQUE, body text,"
        " size int GENERATED ALWAYS AS (length(body)) STORED);" + OWN.format(t="shop.notes"),
        row={"author": "alice", "body": "hers"},
        options={"key": "author"},
    ),
    "a key that only the database gives": Shape(
        "CREATE TABLE shop.notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author text, body text);"
        + OWN.format(t="shop.notes"),
        row=HERS | {"id": 7},
        more=(("shop.notes", {"id": 9, "author": "bob"}),),
    ),
    "forced row-level security": Shape(NOTES + "ALTER TABLE shop.notes FORCE ROW LEVEL SECURITY;"),
    "a name with a space and capitals": Shape(
        'CREATE TABLE shop."My Notes" ("Id" int PRIMARY KEY, author text, "the body" text);'
        + OWN.format(t='shop."My Notes"'),
        row={"Id": 1, "author": "alice", "the body": "hers"},
        table="shop.My Notes",
        options={"key": "Id", "update": "\"the body\" = 'changed'"},
    ),
    "a name with a dot": Shape(
        'CREATE TABLE shop."notes.2026" (id int PRIMARY KEY, author text, body text);'
        + OWN.format(t='shop."notes.2026"'),
        table="shop.notes.2026",
    ),
    "a name that is longer than 63 bytes": Shape(
        f'CREATE TABLE shop."{LONG}" (id int PRIMARY KEY, author text, body text);' + OWN.format(t=f'shop."{LONG}"'),
        table=f"shop.{LONG}",
    ),
    "a schema with a quote in its name": Shape(
        'CREATE TABLE "it\'s ""mine""".notes (id int PRIMARY KEY, author text, body text);'
        + OWN.format(t='"it\'s ""mine""".notes'),
        table='it\'s "mine".notes',
    ),
    "a composite key": Shape(
        "CREATE TABLE shop.notes (author text, number int, body text, PRIMARY KEY (author, number));"
        + OWN.format(t="shop.notes"),
        row={"author": "alice", "number": 1, "body": "hers"},
        options={"key": ("author", "number")},
        more=(("shop.notes", {"author": "bob", "number": 1, "body": "his"}),),
    ),
    "a key that is NULL": Shape(
        "CREATE TABLE shop.notes (id int, author text, body text);" + OWN.format(t="shop.notes"),
        row=HERS | {"id": None},
    ),
    "a table with a cascading foreign key": Shape(
        NOTES + "CREATE TABLE shop.replies (note int REFERENCES shop.notes ON DELETE CASCADE);",
        more=(("shop.replies", {"note": 1}),),
    ),
    "a table with a foreign key that prevents deletes": Shape(
        NOTES + "CREATE TABLE shop.replies (note int REFERENCES shop.notes);",
        usual("yes  yes  yes  error"),
        more=(("shop.replies", {"note": 1}),),
    ),
    "a foreign key that prevents deletes, which the grid names": Shape(
        NOTES + "CREATE TABLE shop.replies (note int REFERENCES shop.notes);",
        usual("yes  yes  yes  23503"),
        more=(("shop.replies", {"note": 1}),),
    ),
    "a deferred foreign key": Shape(
        NOTES + "CREATE TABLE shop.replies (note int REFERENCES shop.notes DEFERRABLE INITIALLY DEFERRED);",
        usual("yes  yes  yes  error"),
        more=(("shop.replies", {"note": 1}),),
    ),
    "a deferred foreign key that a trigger satisfies": Shape(
        NOTES + "CREATE TABLE shop.bodies (id int PRIMARY KEY);"
        "ALTER TABLE shop.notes ADD FOREIGN KEY (id) REFERENCES shop.bodies DEFERRABLE INITIALLY DEFERRED;"
        "CREATE FUNCTION shop.adds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
        " BEGIN INSERT INTO shop.bodies VALUES (NEW.id) ON CONFLICT DO NOTHING; RETURN NULL; END $$;"
        "CREATE TRIGGER zz_adds AFTER INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.adds();"
    ),
    "a CHECK whose function refuses": Shape(
        "CREATE FUNCTION shop.ok(body text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
        " IF body = 'changed' THEN RAISE insufficient_privilege; END IF; RETURN true; END $$;"
        "CREATE TABLE shop.notes (id int PRIMARY KEY, author text, body text CHECK (shop.ok(body)));"
        + OWN.format(t="shop.notes"),
        usual("yes  yes  !  yes"),
    ),
    "a primary key that is checked later": Shape(
        "CREATE TABLE shop.notes (id int PRIMARY KEY DEFERRABLE, author text NOT NULL, body text);"
        + OWN.format(t="shop.notes")
    ),
    "a view of a view with a CHECK OPTION": Shape(
        NOTES + "CREATE VIEW shop.some WITH (security_invoker = true) AS SELECT * FROM shop.notes WHERE id > 0;"
        "CREATE VIEW shop.fewer WITH (security_invoker = true) AS SELECT * FROM shop.some WHERE body <> 'changed'"
        " WITH CASCADED CHECK OPTION; GRANT ALL ON shop.some, shop.fewer TO toy_member;",
        usual("yes  yes  error  yes"),
        table="shop.fewer",
    ),
    "a view whose rows depend on who asks": Shape(
        NOTES + "CREATE VIEW shop.all_notes WITH (security_invoker = true) AS"
        " SELECT *, author = shop.me() AS is_mine FROM shop.notes WHERE author = shop.me() OR shop.me() IS NULL;"
        "CREATE RULE updates AS ON UPDATE TO shop.all_notes DO INSTEAD"
        " UPDATE shop.notes SET body = NEW.body WHERE id = OLD.id;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.all_notes TO toy_member;",
        table="shop.all_notes",
    ),
    "a row that refers to itself": Shape(
        "CREATE TABLE shop.notes (id int PRIMARY KEY, author text, body text,"
        " parent int REFERENCES shop.notes DEFERRABLE INITIALLY DEFERRED);" + OWN.format(t="shop.notes"),
        row=HERS | {"parent": 1},
    ),
    "a sequence without the privilege": Shape(
        "CREATE TABLE shop.notes (number serial, author text UNIQUE, body text);" + OWN.format(t="shop.notes"),
        usual("yes  error  yes  yes", "-  error  -  -"),
        row={"author": "alice", "body": "hers"},
        options={"key": "author"},
    ),
    "an updatable view": Shape(
        NOTES + "CREATE VIEW shop.mine WITH (security_invoker = true) AS SELECT * FROM shop.notes;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.mine TO toy_member;",
        table="shop.mine",
    ),
    "a view with the rights of its owner": Shape(
        NOTES + "CREATE VIEW shop.mine AS SELECT * FROM shop.notes;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.mine TO toy_member;",
        usual("yes  yes  yes  yes", "yes  yes  yes  yes"),
        table="shop.mine",
    ),
    "a view without the privilege on its table": Shape(
        NOTES + "CREATE VIEW shop.mine WITH (security_invoker = true) AS SELECT * FROM shop.notes;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.mine TO toy_member, toy_visitor;",
        table="shop.mine",
    ),
    "a view with INSTEAD OF triggers": Shape(
        NOTES
        + "CREATE VIEW shop.mine WITH (security_invoker = true) AS SELECT *, length(body) AS size FROM shop.notes;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.mine TO toy_member;"
        "CREATE FUNCTION shop.acts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF TG_OP <> 'INSERT' THEN DELETE FROM shop.notes WHERE id = OLD.id; END IF;"
        " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;"
        " INSERT INTO shop.notes VALUES (NEW.id, NEW.author, NEW.body); RETURN NEW; END $$;"
        "CREATE TRIGGER acts INSTEAD OF INSERT OR UPDATE OR DELETE ON shop.mine FOR EACH ROW"
        " EXECUTE FUNCTION shop.acts();",
        # The table refuses the insert inside the trigger.
        usual("yes  yes  yes  yes", "-  error  -  -"),
        table="shop.mine",
    ),
    "a rule for a soft delete": Shape(
        "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text, gone bool);"
        + OWN.format(t="shop.notes")
        + "CREATE RULE soft AS ON DELETE TO shop.notes DO INSTEAD UPDATE shop.notes SET gone = true WHERE id = OLD.id;",
    ),
    "a rule that ignores updates": Shape(
        NOTES + "CREATE RULE ignores AS ON UPDATE TO shop.notes DO INSTEAD NOTHING;",
        usual("yes  yes  -  yes", visitor="!  !  -  !"),
    ),
    "a rule that writes to another table": Shape(
        NOTES + "CREATE TABLE shop.log (id int);"
        "CREATE RULE writes AS ON UPDATE TO shop.notes DO ALSO INSERT INTO shop.log VALUES (OLD.id);"
    ),
}
