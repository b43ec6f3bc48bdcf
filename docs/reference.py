"""The parts of the documentation that are generated from the source, between two comments of a page.

``python docs/reference.py`` writes them into the pages. tests/rolecall/docs/test_docs.py fails if one is out of date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from rolecall import fixtures, settings
from rolecall.mutants import OPERATORS
from rolecall.mutants.operators.constraints import SCHEMA_ANALYST
from rolecall.mutants.operators.policies import XACML
from rolecall.plugin import Hooks
from rolecall.settings import Names, Option

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n\n).*?(\n<!-- end -->)", re.DOTALL)
ROLE = re.compile(r":\w+:`~?([\w.]+)`")  # :class:`~rolecall.Session`
CODE = re.compile(r"^::\n\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


def markdown(docstring: str) -> str:
    """A docstring, which has a little reStructuredText, as Markdown."""
    text = inspect.cleandoc(docstring) + "\n"
    text = CODE.sub(lambda block: f"```python\n{textwrap.dedent(block[1]).strip()}\n```\n", text)
    return ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", text).strip()


def _options() -> Iterator[str]:
    for name, option in settings.options().items():
        names = Names.of(name)
        argument = names.argument if option.switch else f"{names.argument} {option.metavar}"
        spellings = [f"`{argument}`"] if option.cli else ["not on the command line"]
        spellings += [f"`{names.variable}`", TYPES[option.ini_type], f"default {_default(option)}"]
        yield f"### `{names.ini}`\n"
        yield f"{_sentence(option.help)}\n"
        yield f"{' · '.join(spellings)}\n"


TYPES = {
    "string": "text",
    "int": "whole number",
    "bool": "on or off",
    "args": "words; a list in `[tool.pytest]`",
    "linelist": "lines; a list in `[tool.pytest]`",
}


def _default(option: Option) -> str:
    if option.switch:
        return "off"
    return f"`{option.default}`" if option.default else "none"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].replace("|", "\\|") + "."


def _fixtures() -> Iterator[str]:
    for name in fixtures.NAMES:
        definition = getattr(fixtures, name)
        function = definition._get_wrapped_function()
        value = inspect.signature(function).return_annotation
        yield f"### `{name}`\n"
        yield f"Scope: {definition._fixture_function_marker.scope}. Value: `{_value(value)}`.\n"
        yield f"{markdown(function.__doc__)}\n"


def _value(annotation: str) -> str:
    """The type that a test gets: of a generator, what it yields."""
    yielded = re.fullmatch(r"Iterator\[(.+)\]", annotation)
    return yielded[1] if yielded else annotation


def _hooks() -> Iterator[str]:
    for name, function in inspect.getmembers(Hooks, inspect.isfunction):
        signature = inspect.signature(function)
        parameters = [str(each) for each in signature.parameters.values() if each.name != "self"]
        annotation = str(signature.return_annotation).strip("'")
        yield f"### `{name}`\n"
        yield f"```python\ndef {name}({', '.join(parameters).replace(chr(39), '')}) -> {annotation}\n```\n"
        yield f"{markdown(str(function.__doc__))}\n"


def _operators() -> Iterator[str]:
    yield "| Operator | What it does | The mistake it stands for | Source |"
    yield "|---|---|---|---|"
    for each in OPERATORS:
        does = markdown(str(each.__doc__)).removesuffix(".")
        source = each.source.replace(XACML, "MX").replace(SCHEMA_ANALYST, "SA")
        cells = (does, each.stands_for, source or "ours")
        yield " | ".join([f"| `{each.name}`", *(" ".join(cell.split()).replace("|", "\\|") for cell in cells)]) + " |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "options": _options,
    "fixtures": _fixtures,
    "hooks": _hooks,
    "operators": _operators,
}


def generated(text: str) -> str:
    """The text of a page with its generated parts up to date. Raises KeyError for a part that does not exist."""
    return BLOCK.sub(lambda block: block[1] + "\n".join(PARTS[block[2]]()).rstrip() + "\n" + block[3], text)


def main() -> None:
    """Write the generated parts of every page."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := generated(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page}")


if __name__ == "__main__":
    main()
