"""splinter, the linter of Supabase, as the PostgreSQL language server of Supabase's community has it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from league.lab import Database
from league.programs import installed, run
from league.tools.tool import Tool

PROGRAM = "@postgres-language-server/cli-*/postgres-language-server*"


class Splinter(Tool):
    """``postgres-language-server dblint``, whose rules are splinter's SQL."""

    name = "splinter"
    package = "@postgres-language-server/cli"
    made_for = "what Supabase's dashboard warns of: tables without policies, slow policies, definer views"
    commands = ("postgres-language-server dblint --max-diagnostics=none",)
    is_linter = True

    def findings(self, database: Database) -> Iterator[str]:
        options = [f"--connection-string={database.encoded_url}", "--reporter=json", "--max-diagnostics=none"]
        text = run([installed(PROGRAM), "dblint", *options]).stdout
        for found in json.loads(text)["diagnostics"]:
            yield f"{found['category']} {found['message']}"
