"""splinter, the linter of Supabase, as the PostgreSQL language server of Supabase's community has it.

Its package has two names. The new one, ``@postgres-language-server/cli``, does not have its newest version for every
platform, and npm installs nothing from such a lock file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from league.lab import Database
from league.programs import installed, run
from league.tools.tool import Tool

PROGRAM = "@postgrestools/cli-*/postgrestools*"


class Splinter(Tool):
    """``postgrestools dblint``, whose rules are splinter's SQL."""

    name = "splinter"
    package = "@postgrestools/postgrestools"
    made_for = "what Supabase's dashboard warns of: tables without policies, slow policies, definer views"
    commands = ("postgrestools dblint --max-diagnostics=none",)
    is_linter = True

    def findings(self, database: Database) -> Iterator[str]:
        options = [f"--connection-string={database.encoded_url}", "--reporter=json", "--max-diagnostics=none"]
        text = run([installed(PROGRAM), "dblint", *options]).stdout
        for found in json.loads(text)["diagnostics"]:
            yield f"{found['category']} {found['message']}"
