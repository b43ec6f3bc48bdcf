"""The arguments of ``grid()``: one of another kind is an error in words, before anything uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn


def check(fail: Callable[[str], NoReturn], given: Mapping[str, Any]) -> None:
    """Check the kinds of the arguments, by name. ``fail`` is called with what is wrong and what to write."""
    for name, (is_right, form) in FORMS.items():
        if not is_right(given[name]):
            fail(f"{name}={given[name]!r}: write {form}.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_qualified(value: object) -> bool:
    return isinstance(value, str) and all(map(str.strip, value.partition(".")))


def _are_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, Sequence) and bool(value) and all(map(_is_text, value)))


def _is_by_text(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    """A check of an optional mapping: its keys are texts, and its values are right."""
    return lambda value: (
        value is None
        or (isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(is_right, value.values())))
    )


# For each argument: whether a value is of the right kind, and what to write.
FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    "table": (_is_qualified, 'the table with its schema, e.g. "public.notes"'),
    "text": (lambda value: isinstance(value, str), "the grid as a text"),
    "update": (_is_text, "the SET clause of an UPDATE as a text, e.g. \"body = 'changed'\""),
    "moves": (_is_by_text(_is_text), 'a SET clause for each name, e.g. {"give away": "owner = \'{bob}\'"}'),
    "settings": (_is_by_text(lambda value: isinstance(value, str)), 'a text for each name, e.g. {"app.tenant": "7"}'),
    "key": (_are_texts, 'the name of a column, or a list of names, e.g. ["tenant_id", "id"]'),
    "before": (lambda value: value is None or isinstance(value, Mapping), "a grid for each number of a phase"),
    "from_phase": (lambda value: isinstance(value, int), "the number of a phase"),
    "changes": (
        _is_by_text(lambda value: isinstance(value, Mapping)),
        'the changed columns for each command, e.g. {"update": {"updated_at": datetime}}, or {} for none',
    ),
}
