"""Policies that keep state, read settings, or let single columns through."""

from __future__ import annotations

from tests.awkward.shape import HERS, LOG, NOTES, OWN, Shape, usual


def policed(using: str, before: str = "") -> str:
    """Notes that everybody may do with what a condition says."""
    return (
        before + "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text, tenant uuid);"
        "ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO toy_member;"
        f"CREATE POLICY own ON shop.notes USING ({using});"
    )


ME = "COALESCE(current_setting('request.jwt.claims', true), '{}')::jsonb ->> 'sub'"
TENANT = "6f1c1f5e-5b0b-4f3f-9a51-0f3b1a2c3d4e"
NOBODY = usual("error  error  error  error", "error  error  error  error")

POLICIES = {
    "IMMUTABLE, and reads the claims": Shape(
        policed(
            "author = shop.who()",
            f"CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT {ME} $$;",
        )
    ),
    "IMMUTABLE, through another function": Shape(
        policed(
            "author = shop.who()",
            "CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT shop.me(); END;",
        )
    ),
    "STABLE, but asks an IMMUTABLE function": Shape(
        policed(
            "shop.is_mine(author)",
            f"CREATE FUNCTION shop.who() RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT {ME} $$;"
            "CREATE FUNCTION shop.is_mine(name text) RETURNS bool STABLE LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN name = shop.who(); END $$;",
        )
    ),
    "takes a lock that lasts as long as the session": Shape(
        policed(
            "author = shop.me() AND shop.first()",
            "CREATE FUNCTION shop.first() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = 7)"
            " THEN RETURN false; END IF; PERFORM pg_advisory_lock(7); RETURN true; END $$;",
        ),
        # An update asks twice: for the row as it is, and as it will be.
        usual("yes  yes  !  yes"),
    ),
    "writes": Shape(
        LOG
        + policed(
            "shop.log(id)",
            "CREATE FUNCTION shop.log(id int) RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$ BEGIN INSERT INTO shop.log VALUES (id); RETURN true; END $$;",
        ),
        usual("error  yes  yes  yes", "error  yes  yes  yes"),
    ),
    "reads its own table": Shape(
        policed("author = shop.me() AND EXISTS (SELECT FROM shop.notes AS n WHERE n.id = notes.id)"),
        # Infinite recursion (42P17), which the server finds before it asks for a grant.
        usual("error  error  error  error", "error  error  error  error", "error  error  error  error"),
    ),
    "reads what PostgREST sets": Shape(
        policed(
            "author = shop.me() AND current_setting('request.path', true) = '/' AND"
            " (current_setting('transaction_read_only') = 'on') = (current_setting('request.method', true) = 'GET')"
        )
    ),
    "asks whether a superuser is there": Shape(
        policed("author = shop.me() AND current_setting('is_superuser') = 'off' AND current_user = 'toy_member'")
    ),
    "asks who logged in": Shape(policed("author = shop.me() AND session_user = 'authenticator'")),
    "becomes a role that who logged in is no member of": Shape(
        policed(
            "shop.becomes()",
            "CREATE FUNCTION shop.becomes() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM set_config('role', 'toy_migrator', true); RETURN true; END $$;",
        ),
        usual("error  error  error  error", "error  error  error  error"),
    ),
    "reads a table that its reader may not": Shape(
        policed("author IN (SELECT name FROM shop.staff)", "CREATE TABLE shop.staff (name text);"), NOBODY
    ),
    "calls a function that its reader may not": Shape(
        policed(
            "author = shop.secret()",
            "CREATE FUNCTION shop.secret() RETURNS text STABLE LANGUAGE sql AS $$ SELECT 'alice' $$;"
            "REVOKE EXECUTE ON FUNCTION shop.secret() FROM PUBLIC;",
        ),
        NOBODY,
    ),
    "refuses by raising": Shape(
        policed(
            "shop.check_me(author)",
            "CREATE FUNCTION shop.check_me(name text) RETURNS bool STABLE LANGUAGE plpgsql AS $$ BEGIN"
            " IF name <> shop.me() THEN RAISE insufficient_privilege; END IF; RETURN true; END $$;",
        ),
        usual("yes  yes  yes  yes", "!  !  !  !"),
    ),
    "reads a tenant that nobody set": Shape(
        policed("current_setting('app.tenant', true)::uuid = tenant"),
        # The planner asks the setting before the server asks for the grant.
        usual("error  error  error  error", "error  error  error  error", "error  !  error  error"),
    ),
    "takes a tenant that nobody set for any": Shape(
        policed("COALESCE(current_setting('app.tenant', true), author) = author"),
        usual("-  !  -  -"),
    ),
    "reads the tenant that the request sets": Shape(
        policed("NULLIF(current_setting('app.tenant', true), '')::uuid = tenant"),
        usual("yes  yes  yes  yes", "yes  yes  yes  yes"),
        row=HERS | {"tenant": TENANT},
        options={"settings": {"app.tenant": TENANT}},
    ),
    "lets read by single columns": Shape(
        NOTES + "ALTER TABLE shop.notes ADD token text; GRANT SELECT (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR SELECT TO toy_visitor USING (true);",
        usual("yes  yes  yes  yes", visitor="!/yes  !  !  !"),
    ),
    "lets read single columns of other rows": Shape(
        NOTES + "GRANT SELECT (body) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR SELECT TO toy_visitor USING (author = 'bob');",
        usual("yes  yes  yes  yes", visitor="!/-  !  !  !"),
        more=(("shop.notes", {"id": 2, "author": "bob", "body": "his"}),),
    ),
    "hides what single columns would show": Shape(
        NOTES + "GRANT SELECT (body) ON shop.notes TO toy_visitor;", usual("yes  yes  yes  yes", visitor="!/-  !  !  !")
    ),
    "lets write single columns": Shape(
        NOTES + "ALTER TABLE shop.notes ADD token text; GRANT UPDATE (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR UPDATE TO toy_visitor USING (true);",
        usual("yes  yes  yes  yes", visitor="!  !  !/yes  !"),
    ),
    "lets write what it does not let read": Shape(
        NOTES + "DROP POLICY reads ON shop.notes;", usual("-  yes/!  -/yes  -/yes", "-  !  -  -")
    ),
    "refuses what an update would hide": Shape(
        "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text);"
        + OWN.format(t="shop.notes")
        + "ALTER POLICY reads ON shop.notes USING (author = shop.me() AND body <> 'gone');",
        usual("yes  yes  !/yes  yes"),
        options={"update": "body = 'gone'"},
    ),
}
