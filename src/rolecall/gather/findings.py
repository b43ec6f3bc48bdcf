"""The findings of a report: the defects of a project, and the tests that notice them."""

from __future__ import annotations

from pathlib import Path

from rolecall.defects.files import Defect
from rolecall.gather.project import Project
from rolecall.report.report import ReportedFinding


def findings(folder: Path | None, project: Project) -> list[ReportedFinding]:
    """The defects in a folder, sorted by file; none without a folder. Raises RolecallError for a wrong file."""
    defects = [Defect.read(path, project.root) for path in sorted(folder.glob("*.sql"))] if folder else []
    return [
        ReportedFinding(each.name, each.title, project.place(each.path, 1), list(each.caught_by)) for each in defects
    ]
