"""Policies that keep state, read settings, or apply to single columns."""

from __future__ import annotations

from tests.awkward.shape import HERS, LOG, NOTES, OWN, Shape, usual


def with_policy(using: str, before: str = "") -> str:
    """Notes with one policy for all commands, which has this condition."""
    return (
        before + "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text, tenant uuid);"
        "ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO toy_member;"
        f"CREATE POLICY own ON shop.notes USING ({using});"
    )


ME = "COALESCE(current_setting('request.jwt.claims', true), '{}')::jsonb ->> 'sub'"
TENANT = "6f1c1f5e-5b0b-4f3f-9a51-0f3b1a2c3d4e"
ALL_FAIL = usual("error  error  error  error", "error  error  error  error")

POLICIES = {
    "IMMUTABLE, and reads the claims": Shape(
        with_policy(
            "author = shop.who()",
            f"CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT {ME} $$;",
        )
    ),
    "IMMUTABLE, through another function": Shape(
        with_policy(
            "author = shop.who()",
            "CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT shop.me(); END;",
        )
    ),
    "STABLE, but calls an IMMUTABLE function": Shape(
        with_policy(
            "shop.is_mine(author)",
            f"CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT {ME} $$;"
            "CREATE FUNCTION shop.is_mine(name text) RETURNS bool STABLE LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN name = shop.who(); END $$;",
        )
    ),
    "takes a session-level lock": Shape(
        with_policy(
            "author = shop.me() AND shop.first()",
            "CREATE FUNCTION shop.first() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = 7)"
            " THEN RETURN false; END IF; PERFORM pg_advisory_lock(7); RETURN true; END $$;",
        ),
        # An update calls the function twice: for the current row and for the updated one.
        usual("yes  yes  !  yes"),
    ),
    "writes": Shape(
        LOG
        + with_policy(
            "shop.log(id)",
            "CREATE FUNCTION shop.log(id int) RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$ BEGIN INSERT INTO shop.log VALUES (id); RETURN true; END $$;",
        ),
        usual("error  yes  yes  yes", "error  yes  yes  yes"),
    ),
    "reads its own table": Shape(
        with_policy("author = shop.me() AND EXISTS (SELECT FROM shop.notes AS n WHERE n.id = notes.id)"),
        # Infinite recursion (42P17): the server finds it before it checks the privileges.
        usual("error  error  error  error", "error  error  error  error", "error  error  error  error"),
    ),
    "reads what PostgREST sets": Shape(
        with_policy(
            "author = shop.me() AND current_setting('request.path', true) = '/' AND"
            " (current_setting('transaction_read_only') = 'on') = (current_setting('request.method', true) = 'GET')"
        )
    ),
    "checks for a superuser": Shape(
        with_policy("author = shop.me() AND current_setting('is_superuser') = 'off' AND current_user = 'toy_member'")
    ),
    "checks the login role": Shape(with_policy("author = shop.me() AND session_user = 'authenticator'")),
    "switches to a role that the login role is not a member of": Shape(
        with_policy(
            "shop.switches()",
            "CREATE FUNCTION shop.switches() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM set_config('role', 'toy_migrator', true); RETURN true; END $$;",
        ),
        usual("error  error  error  error", "error  error  error  error"),
    ),
    "reads a table without the privilege": Shape(
        with_policy("author IN (SELECT name FROM shop.staff)", "CREATE TABLE shop.staff (name text);"), ALL_FAIL
    ),
    "calls a function without the privilege": Shape(
        with_policy(
            "author = shop.secret()",
            "CREATE FUNCTION shop.secret() RETURNS text STABLE LANGUAGE sql AS $$ SELECT 'alice' $$;"
            "REVOKE EXECUTE ON FUNCTION shop.secret() FROM PUBLIC;",
        ),
        ALL_FAIL,
    ),
    "refuses by raising": Shape(
        with_policy(
            "shop.check_me(author)",
            "CREATE FUNCTION shop.check_me(name text) RETURNS bool STABLE LANGUAGE plpgsql AS $$ BEGIN"
            " IF name <> shop.me() THEN RAISE insufficient_privilege; END IF; RETURN true; END $$;",
        ),
        usual("yes  yes  yes  yes", "!  !  !  !"),
    ),
    "reads a setting that is not set": Shape(
        with_policy("current_setting('app.tenant', true)::uuid = tenant"),
        # The planner reads the setting before the server checks the privileges.
        usual("error  error  error  error", "error  error  error  error", "error  !  error  error"),
    ),
    "admits all tenants without a setting": Shape(
        with_policy("COALESCE(current_setting('app.tenant', true), author) = author"),
        usual("-  !  -  -"),
    ),
    "reads a setting of the request": Shape(
        with_policy("NULLIF(current_setting('app.tenant', true), '')::uuid = tenant"),
        usual("yes  yes  yes  yes", "yes  yes  yes  yes"),
        row=HERS | {"tenant": TENANT},
        options={"settings": {"app.tenant": TENANT}},
    ),
    "grants a select of one column": Shape(
        NOTES + "ALTER TABLE shop.notes ADD token text; GRANT SELECT (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR SELECT TO toy_visitor USING (true);",
        usual("yes  yes  yes  yes", visitor="!/yes  !  !  !"),
    ),
    "grants a select of one column, for other rows only": Shape(
        NOTES + "GRANT SELECT (body) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR SELECT TO toy_visitor USING (author = 'bob');",
        usual("yes  yes  yes  yes", visitor="!/-  !  !  !"),
        more=(("shop.notes", {"id": 2, "author": "bob", "body": "his"}),),
    ),
    "hides rows with a granted column": Shape(
        NOTES + "GRANT SELECT (body) ON shop.notes TO toy_visitor;", usual("yes  yes  yes  yes", visitor="!/-  !  !  !")
    ),
    "grants an update of one column": Shape(
        NOTES + "ALTER TABLE shop.notes ADD token text; GRANT UPDATE (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR UPDATE TO toy_visitor USING (true);",
        usual("yes  yes  yes  yes", visitor="!  !  !/yes  !"),
    ),
    "grants an insert of some columns": Shape(
        NOTES
        + "ALTER TABLE shop.notes ALTER body SET DEFAULT 'hers'; GRANT INSERT (author) ON shop.notes TO toy_visitor;"
        "CREATE SEQUENCE shop.ids START 100; ALTER TABLE shop.notes ALTER id SET DEFAULT nextval('shop.ids');"
        "GRANT USAGE ON SEQUENCE shop.ids TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (author = 'alice' AND body = 'hers');",
        usual("yes  yes  yes  yes", visitor="!  !/yes  !  !"),
    ),
    "grants an insert of some columns, which makes another row": Shape(
        NOTES + "ALTER TABLE shop.notes ALTER body SET DEFAULT 'other';"
        "GRANT INSERT (id, author) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (true);",
        usual("yes  yes  yes  yes", visitor="!  !/-  !  !"),
        more=(("shop.notes", {"id": 2, "author": "bob", "body": "hers"}),),
    ),
    "grants an insert of some columns, with a time of the table": Shape(
        NOTES + "ALTER TABLE shop.notes ADD made timestamptz DEFAULT now();"
        "GRANT INSERT (id, author, body) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (true);",
        usual("yes  yes  yes  yes", visitor="!  !/yes  !  !"),
        row=HERS | {"made": "2020-02-03 04:05+00"},
    ),
    "grants an insert of some columns, which a deferred constraint refuses": Shape(
        NOTES
        + "CREATE TABLE shop.bodies (body text PRIMARY KEY); INSERT INTO shop.bodies VALUES ('hers'), ('changed');"
        "ALTER TABLE shop.notes ALTER body SET DEFAULT 'other',"
        " ADD FOREIGN KEY (body) REFERENCES shop.bodies DEFERRABLE INITIALLY DEFERRED;"
        "GRANT INSERT (id, author) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (true);",
        usual("yes  yes  yes  yes", visitor="!  !  !  !"),
    ),
    "grants an insert of some columns, which its policy refuses": Shape(
        NOTES + "GRANT INSERT (id, author) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (body = 'hers');",
        usual("yes  yes  yes  yes", visitor="!  !  !  !"),
    ),
    "grants an insert of a column that the row does not have": Shape(
        NOTES + "ALTER TABLE shop.notes ADD token text; GRANT INSERT (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR INSERT TO toy_visitor WITH CHECK (true);",
        usual("yes  yes  yes  yes", visitor="!  !  !  !"),
    ),
    "admits writes but no reads": Shape(
        NOTES + "DROP POLICY reads ON shop.notes;", usual("-  yes/!  -/yes  -/yes", "-  !  -  -")
    ),
    "refuses an update that would hide the row": Shape(
        "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text);"
        + OWN.format(t="shop.notes")
        + "ALTER POLICY reads ON shop.notes USING (author = shop.me() AND body <> 'gone');",
        usual("yes  yes  !/yes  yes"),
        options={"update": "body = 'gone'"},
    ),
}
