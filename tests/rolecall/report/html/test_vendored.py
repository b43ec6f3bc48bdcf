"""What the page contains from npm is what VENDORED.md says: the files, their checksums, versions and licences."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from rolecall.report.html.page import HTM, MUTANTS, PREACT, Vendored

FOLDER = Path(__file__).parents[4] / "src" / "rolecall" / "report" / "html" / "vendor"
TEXT = FOLDER.joinpath("VENDORED.md").read_text(encoding="utf-8")
LIBRARIES = (PREACT, HTM, MUTANTS)


def test_the_checksums_are_those_of_the_files() -> None:
    listed = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", TEXT, re.MULTILINE)}
    files = {
        path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.glob("*/*")
    }
    assert len(files) == 7
    assert files == listed


def test_the_table_has_the_versions_and_licences() -> None:
    rows = re.findall(r"^\| `(.+?)/(.+?)` \| (\S+) (\S+), .*? \| (\S+) \|", TEXT, re.MULTILINE)
    assert rows == [(*key(each, file),) for each in LIBRARIES for file in each.files]


def key(library: Vendored, file: str) -> tuple[str, str, str, str, str]:
    return library.name, file, library.name, library.version, library.licence


def test_each_library_has_its_licence() -> None:
    for library in LIBRARIES:
        text = FOLDER.joinpath(library.name, "LICENSE").read_text(encoding="utf-8")
        assert {"MIT": "Permission is hereby granted", "Apache-2.0": "Apache License"}[library.licence] in text
