"""The action that comments on a pull request: one comment, updated in place, and none if nothing has changed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ACTION = (ROOT / ".github" / "actions" / "access" / "action.yml").read_text(encoding="utf-8")
FOUND = re.findall(r"      run: \|\n((?:        .*\n?)+)", ACTION)
SCRIPTS = [re.sub(r"^ {8}", "", script, flags=re.MULTILINE) for script in FOUND]
GH = """\
#!/bin/bash
echo "$@" >> calls
case "$*" in *--paginate*) printf '%s' "$EXISTING" ;; esac
"""
ROLECALL = """\
#!/bin/bash
echo "$@" >> calls
while [ "$1" != --output ]; do shift; done
echo '### Who can do what' > "$2"
exit "$STATUS"
"""


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub does, with these variables only, and these two programs."""
    for name, text in (("gh", GH), ("rolecall", ROLECALL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.defpath}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_REPOSITORY": "me/app",
    } | variables
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment | variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("status", "fails"), [("0", False), ("1", False), ("2", True)])
def test_a_change_does_not_fail_the_job_and_an_error_does(tmp_path: Path, status: str, fails: bool) -> None:
    files = {name: str(tmp_path / name) for name in ("GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
    result = run(SCRIPTS[0], tmp_path, ROLECALL="rolecall", BEFORE="abc", STATUS=status, **files)
    assert bool(result.returncode) is fails
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call == f"diff abc --format markdown --fail-on any --output {tmp_path}/access.md"
    if not fails:
        assert Path(files["GITHUB_ENV"]).read_text() == f"ROLECALL_CHANGED={status}\n"
        assert Path(files["GITHUB_STEP_SUMMARY"]).read_text() == "### Who can do what\n"


@pytest.mark.parametrize(
    ("existing", "changed", "last"),
    [
        ("", "1", "api --silent repos/me/app/issues/7/comments -F body=@{}/access.md"),
        ("", "0", None),
        ("11\n12\n", "1", "api --silent --method PATCH repos/me/app/issues/comments/11 -F body=@{}/access.md"),
        ("11\n", "0", "api --silent --method PATCH repos/me/app/issues/comments/11 -F body=@{}/access.md"),
    ],
    ids=[
        "a first comment",
        "nothing has changed",
        "the comment is updated",
        "it is updated if nothing changes any more",
    ],
)
def test_there_is_one_comment(tmp_path: Path, existing: str, changed: str, last: str | None) -> None:
    result = run(SCRIPTS[1], tmp_path, NUMBER="7", EXISTING=existing, ROLECALL_CHANGED=changed)
    assert (result.returncode, result.stderr) == (0, "")
    first, *others = (tmp_path / "calls").read_text().splitlines()
    assert first.startswith("api --paginate repos/me/app/issues/7/comments --jq ")
    assert others == ([last.format(tmp_path)] if last else [])


def test_the_comment_begins_with_what_the_action_looks_for() -> None:
    from rolecall.access_map.render import MARKER

    assert f'startswith("{MARKER}")' in SCRIPTS[1]
