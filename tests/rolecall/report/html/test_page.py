"""The text of the page: its parts are in it, and nothing of a report gets out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi  # type: ignore[import-untyped]  # it has no types

from rolecall.report.html import page as module
from rolecall.report.html.page import page, page_of_json
from rolecall.report.report import as_json
from tests.rolecall.report.html import sample

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "src" / "rolecall" / "report" / "html"


def scripts(text: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", text, re.DOTALL)


def data(text: str) -> str:
    (found,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', text, re.DOTALL)
    return str(found)


def test_the_report_is_in_the_page() -> None:
    report = sample.everything()
    assert json.loads(data(page(report))) == json.loads(as_json(report))


def test_the_page_of_a_report_and_of_its_json_are_the_same() -> None:
    report = sample.everything()
    assert page_of_json(as_json(report)) == page(report)


def test_hostile_names_stay_in_the_json() -> None:
    report = sample.hostile()
    text = page(report)
    assert json.loads(data(text)) == json.loads(as_json(report))
    assert not re.search("[<>&\u2028\u2029]", data(text))
    assert "<title>&lt;/script&gt;" in text


def test_only_the_scripts_of_the_page_may_run() -> None:
    text = page(sample.everything())
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts(text)]
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy.startswith("default-src 'none'; script-src ")
    assert re.findall("'sha256-(.*?)'", policy) == hashes
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_nothing_is_loaded() -> None:
    """No tag of the page names a file or a host; licences and the SVG of the libraries name some as text."""
    without = re.sub(r"<(script|pre|style)\b.*?</\1>", "", page(sample.everything()), flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="([^"]*)"', without) == ["data:,"]
    assert "sourceMappingURL" not in page(sample.everything())


def test_the_viewer_of_mutants_is_there_only_if_there_are_mutants() -> None:
    assert "MutationTestElements" in page(sample.everything())
    assert "MutationTestElements" not in page(sample.hostile())


def test_each_module_of_the_app_is_used() -> None:
    assert sorted(module.APP) == sorted(path.stem for path in FOLDER.joinpath("app").glob("*.js"))


@pytest.mark.parametrize("text", ["[]", "{}", '{"project": "a"}', "no json"])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a report of rolecall|Expecting value"):
        page_of_json(text)


def test_the_wheel_has_all_files_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wheel = zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path)))
    with wheel:
        inside = {name for name in wheel.namelist() if name.startswith("rolecall/report/html/")}
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 20
    assert inside == {path.relative_to(ROOT / "src").as_posix() for path in files}
