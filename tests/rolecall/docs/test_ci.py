"""CI, here and elsewhere: jobs have a time limit, and what other repositories use does what docs/ci.md says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOB = re.compile(r"^  (\w+):\n((?:    .*\n|\n)*)", re.MULTILINE)
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def test_there_are_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["access", "lint", "verify", "weekly"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_has_a_time_limit(workflow: Path) -> None:
    _, jobs = workflow.read_text(encoding="utf-8").split("\njobs:\n")
    limits = {name: re.findall(r"^    timeout-minutes: (\d+)$", job, re.MULTILINE) for name, job in JOB.findall(jobs)}
    assert limits
    assert {name for name, found in limits.items() if len(found) != 1} == set()


def test_the_script_of_ci_has_a_time_limit() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "make " in line and not line.startswith(("#", "timeout "))] == []


# -- the action

ACTION = (ROOT / "action.yml").read_text(encoding="utf-8")
INPUTS, STEPS = ACTION.partition("inputs:\n")[2].split("\nruns:\n")


def scripts() -> dict[str, str]:
    """The script of each step that has one, by the name of the step."""
    steps = STEPS.split("\n    - ")
    found = {}
    for step in steps:
        if script := re.search(r"\n      run: \|\n((?:        .*\n?)+)", step + "\n"):
            found[step.partition("\n")[0].removeprefix("name: ")] = re.sub(r"^ {8}", "", script[1], flags=re.MULTILINE)
    return found


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub does, with these variables only."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "RUNNER_TEMP": str(folder)} | variables
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def program(path: Path, script: str) -> None:
    """Write a program of one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_page_has_the_inputs_of_the_action() -> None:
    names = re.findall(r"^  (\w+):$", INPUTS, re.MULTILINE)
    assert re.findall(r"^\| `(\w+)` \|.*\|.*\|$", PAGE, re.MULTILINE) == names
    assert set(re.findall(r"inputs\.(\w+)", STEPS)) == set(names)


def test_no_input_is_part_of_a_script() -> None:
    """An input in a script would be run. It must go through a variable."""
    assert list(scripts()) == ["Install rolecall", "Run the tests"]
    assert [name for name, script in scripts().items() if "${{" in script] == []


def test_the_action_installs_its_own_version(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python", 'mkdir -p "$3/bin" && ln -s "$LISTS" "$3/bin/python"')
    program(tmp_path / "lists", 'printf "%s\\n" "$@" > installed')
    result = run(
        scripts()["Install rolecall"],
        tmp_path,
        PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin",
        LISTS=str(tmp_path / "lists"),
        GITHUB_ACTION_PATH="/the action/at its ref",
        PACKAGES="faker x[*]>1 -r requirements.txt",
    )
    assert result.returncode == 0, result.stderr
    installed = (tmp_path / "installed").read_text().splitlines()
    assert installed[-5:] == ["/the action/at its ref", "faker", "x[*]>1", "-r", "requirements.txt"]


@pytest.mark.parametrize(
    ("variables", "ran", "status"),
    [
        ({"ARGUMENTS": "", "POSTGRES": ""}, ["one two", "three", "None"], 1),
        ({"ARGUMENTS": '-k "one or three"', "POSTGRES": "16"}, ["one two", "three", "16"], 1),
        ({"ARGUMENTS": "-k 'one'", "POSTGRES": "18", "PYTEST_ADDOPTS": "-v"}, ["one two", "18"], 0),
        ({"ARGUMENTS": "-k one$(touch ran)", "POSTGRES": ""}, [], 4),
    ],
)
def test_the_action_runs_pytest_with_its_arguments(
    tmp_path: Path, variables: dict[str, str], ran: list[str], status: int
) -> None:
    program(tmp_path / "rolecall" / "bin" / "python", f'exec {shlex.quote(sys.executable)} "$@"')
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (tmp_path / "test_it.py").write_text(
        "import os\n\n\ndef test_one_two():\n    print('one two', os.environ.get('ROLECALL_PG'))\n\n\n"
        "def test_three():\n    print('three', os.environ.get('ROLECALL_PG'))\n    assert False\n"
    )
    variables = variables | {"ARGUMENTS": f"-rA {variables['ARGUMENTS']}"}
    result = run(scripts()["Run the tests"], tmp_path, **variables)
    assert result.returncode == status, result.stdout + result.stderr
    assert [word for word in ran if word not in result.stdout] == []
    assert not (tmp_path / "ran").exists()


# -- pre-commit


def test_the_hook_runs_pytest_if_sql_has_changed() -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    (files,) = re.findall(r"^  files: (.*)$", hook, re.MULTILINE)
    assert re.search(files, "supabase/migrations/1_notes.sql")
    assert not re.search(files, "src/mysql.py")
    assert "- id: rolecall\n" in hook
    assert "- id: rolecall\n" in PAGE


# -- the image

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def test_the_image_is_not_run_by_root() -> None:
    *_, last = DOCKERFILE.split("\nFROM ")
    assert re.findall(r"^(USER|CMD) (.*)$", last, re.MULTILINE) == [("USER", "rolecall"), ("CMD", '["pytest"]')]


def test_what_the_image_copies_is_enough_for_the_wheel(tmp_path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for names in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for name in names.split():
            assert f"!{name}" in ignored
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tmp_path / name)
    (build,) = re.findall(r"pip wheel (.*?) &&", DOCKERFILE)
    command = [sys.executable, "-m", "pip", "wheel", *build.split()]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {"rolecall/plugin.py", "rolecall/grids/probe.sql", "rolecall/pgtap/try.sql"} <= set(archive.namelist())
