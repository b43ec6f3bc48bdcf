"""JUnit's XML: what rolecall adds to a test is written where the schema of Jenkins allows it."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from _pytest.junitxml import bin_xml_escape, xml_key

from rolecall.mutants.survivors import PROPERTY

PREFIX = "rolecall "  # of the names of rolecall's properties
FAMILY = "xunit2"  # pytest's default. The older ones allow properties of a test.


class JunitPlugin:
    """Moves rolecall's properties of a test into its ``system-out``: this family has no properties of a test."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Move them before pytest writes them, which is after the teardown."""
        xml = self.config.stash.get(xml_key, None)  # only in the process that writes the file
        own = [(name, value) for name, value in report.user_properties if name.startswith(PREFIX)]
        if xml is None or xml.family != FAMILY or report.when != "teardown" or not own:
            return
        report.user_properties = [each for each in report.user_properties if each not in own]
        lines = [f"{name}: {value}" for name, value in own if value and name != PROPERTY]
        output = Element("system-out")
        output.text = bin_xml_escape("\n".join(lines))
        xml.node_reporter(report).append(output)
