"""The tools of the league, in the order of the table. ``behaviour`` is rolecall's suite, which runs by itself."""

from league.tools.pgrls import Diff, Lint, Verify
from league.tools.pgtap import Cells, Structure
from league.tools.rlsautotest import Changes, Findings, Suite
from league.tools.rolecall import Grids, VerifyScripts
from league.tools.splinter import Splinter
from league.tools.tool import Tool

TOOLS: tuple[type[Tool], ...] = (
    Lint,
    Verify,
    Splinter,
    Findings,
    Suite,
    Diff,
    Changes,
    Structure,
    Cells,
    Grids,
    VerifyScripts,
)
