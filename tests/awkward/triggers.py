"""Triggers that raise, assert, ignore changes, time out, or write to other rows and tables."""

from __future__ import annotations

from tests.awkward.shape import LOG, RAISES, Shape, trigger, usual

FAILS = usual("yes  yes  yes  error")

TRIGGERS = {
    "raises an error": Shape(trigger(RAISES.format("P0001"), "BEFORE DELETE"), usual("yes  yes  yes  P0001")),
    "raises an error of its own, which the grid names": Shape(
        trigger(RAISES.format("KEEP1"), "BEFORE DELETE"), usual("yes  yes  yes  KEEP1")
    ),
    "raises where no column is read": Shape(
        trigger(RAISES.format("P0001"), "BEFORE UPDATE OR DELETE") + "ALTER POLICY reads ON shop.notes USING (false);",
        usual("-  yes/!  -/P0001  -/P0001"),
    ),
    "refuses": Shape(trigger(RAISES.format("42501"), "BEFORE DELETE"), usual("yes  yes  yes  !")),
    "refuses with the server's message for another table": Shape(
        trigger("RAISE insufficient_privilege USING MESSAGE = 'permission denied for table other';", "BEFORE DELETE"),
        usual("yes  yes  yes  !"),
    ),
    "refuses in another language": Shape(
        trigger("RAISE insufficient_privilege USING MESSAGE = 'keine Berechtigung für Tabelle x';", "BEFORE DELETE"),
        usual("yes  yes  yes  !"),
    ),
    "refuses statements": Shape(
        trigger(RAISES.format("42501"), "BEFORE DELETE", options="").replace("FOR EACH ROW", "FOR EACH STATEMENT"),
        usual("yes  yes  yes  !", "-  !  -  !"),
    ),
    "asserts": Shape(trigger("ASSERT false, 'no'; RETURN OLD;", "BEFORE DELETE"), FAILS),
    "is cancelled": Shape(trigger(RAISES.format("57014"), "BEFORE DELETE"), FAILS),
    "times out": Shape(
        trigger("SET LOCAL statement_timeout = 500; PERFORM pg_sleep(1); RETURN OLD;", "BEFORE DELETE"),
        # A timeout that is set inside a statement applies from the next one on.
        usual("yes  yes  yes  yes"),
    ),
    "raises the SQLSTATE of the probe": Shape(trigger(RAISES.format("RC000"), "BEFORE DELETE"), FAILS),
    "ignores deletes": Shape(trigger("RETURN NULL;", "BEFORE DELETE"), usual("yes  yes  yes  -")),
    "ignores inserts": Shape(
        trigger("IF shop.me() IS NULL THEN RETURN NEW; END IF; RETURN NULL;", "BEFORE INSERT"),
        usual("yes  -  yes  yes", "-  -  -  -"),
    ),
    "catches errors": Shape(
        trigger(
            "BEGIN INSERT INTO shop.nowhere VALUES (1); EXCEPTION WHEN OTHERS THEN NULL; END; RETURN OLD;",
            "BEFORE DELETE",
        )
    ),
    "reverts the change": Shape(trigger("RETURN OLD;", "BEFORE UPDATE")),
    "writes to another row": Shape(
        trigger(
            "IF pg_trigger_depth() > 1 THEN RETURN NEW; END IF;"
            " UPDATE shop.notes SET body = NEW.body WHERE id <> OLD.id; RETURN NULL;",
            "BEFORE UPDATE",
            "SECURITY DEFINER",
        ),
        usual("yes  yes  -  yes"),
        more=(("shop.notes", {"id": 2, "author": "bob", "body": "his"}),),
    ),
    "writes to a table without the privilege": Shape(
        LOG + trigger("INSERT INTO shop.log VALUES (OLD.id); RETURN OLD;", "BEFORE DELETE"), FAILS
    ),
    "writes what another table's policy refuses": Shape(
        LOG
        + "GRANT INSERT ON shop.log TO toy_member;"
        + trigger("INSERT INTO shop.log VALUES (OLD.id); RETURN OLD;", "BEFORE DELETE"),
        FAILS,
    ),
    "writes to a table of the same name in another schema": Shape(
        'CREATE TABLE "it\'s ""mine""".notes (id int);'
        + trigger('INSERT INTO "it\'s ""mine""".notes VALUES (OLD.id); RETURN OLD;', "BEFORE DELETE"),
        FAILS,
    ),
    "fails at the end of the transaction": Shape(
        trigger(RAISES.format("P0001"), "AFTER DELETE").replace(
            "CREATE TRIGGER acts AFTER DELETE ON shop.notes",
            "CREATE CONSTRAINT TRIGGER acts AFTER DELETE ON shop.notes DEFERRABLE INITIALLY DEFERRED",
        ),
        usual("yes  yes  yes  P0001"),
    ),
    "refuses at the end of the transaction": Shape(
        trigger(RAISES.format("42501"), "AFTER DELETE").replace(
            "CREATE TRIGGER acts AFTER DELETE ON shop.notes",
            "CREATE CONSTRAINT TRIGGER acts AFTER DELETE ON shop.notes DEFERRABLE INITIALLY DEFERRED",
        ),
        usual("yes  yes  yes  !"),
    ),
    "switches the role and does not switch back": Shape(
        trigger("PERFORM set_config('role', 'toy_keeper', true); RETURN OLD;", "BEFORE DELETE")
    ),
    "reads all rows of the statement": Shape(
        trigger(
            "IF EXISTS (SELECT FROM gone) THEN RAISE insufficient_privilege; END IF; RETURN NULL;",
            "AFTER DELETE",
        ).replace("FOR EACH ROW", "REFERENCING OLD TABLE AS gone FOR EACH STATEMENT"),
        usual("yes  yes  yes  !"),
    ),
    "changes the claims": Shape(
        # The policy then checks the new row with the claims of bob.
        trigger("""PERFORM set_config('request.jwt.claims', '{"sub": "bob"}', true); RETURN NEW;""", "BEFORE UPDATE"),
        usual("yes  yes  !  yes"),
    ),
    "deallocates prepared statements": Shape(trigger("EXECUTE 'DEALLOCATE ALL'; RETURN OLD;", "BEFORE DELETE")),
    "deallocates prepared statements and skips the row": Shape(
        trigger("EXECUTE 'DEALLOCATE ALL'; RETURN NULL;", "BEFORE DELETE"), usual("yes  yes  yes  -")
    ),
    "changes the key": Shape(
        trigger("NEW.id := 7; RETURN NEW;", "BEFORE UPDATE"),
    ),
    "copies the deleted row to another table": Shape(
        "CREATE TABLE shop.archive (id int, author text, body text);"
        + trigger("INSERT INTO shop.archive SELECT OLD.*; RETURN OLD;", "BEFORE DELETE", "SECURITY DEFINER")
    ),
}
