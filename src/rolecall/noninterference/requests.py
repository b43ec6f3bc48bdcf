"""Changes of the request: claims, headers, settings and the path, each with many keys and one value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rolecall.access.world import World
from rolecall.grids.decided_by import DecidedBy
from rolecall.noninterference.changes import Change, RequestChange
from rolecall.noninterference.values import Dictionary

# Claims that a Supabase token has besides the role and the subject. Users set the first by themselves.
OBJECTS = ("user_metadata", "app_metadata")
CLAIMS = ("email", "phone", "aud", "session_id", "aal", "is_anonymous", "amr", "iss")
HEADERS = ("x-tenant", "x-tenant-id", "x-user-id", "x-role", "user-agent", "origin", "referer", "x-forwarded-for")
VALUES = (True, "true", "on", "1", "admin")
OF_A_REQUEST = ("application_name", "request.path")  # settings that each request has
PERSONA = ("sub", "role")  # who it is: these always decide
EACH = "x_rolecall"  # a key that no schema knows


class Requests:
    """Builds the changes of the request for one grid.

    ``settings`` are those that the schema reads, and ``paths`` those of the JSON values that it reads. ``keys`` are
    values that a policy may compare with, besides those of ``dictionary``. With ``elements``, it reads the elements of
    arrays, and claims are also arrays of objects.
    """

    def __init__(
        self,
        world: World,
        decided: DecidedBy,
        dictionary: Dictionary,
        settings: Sequence[str],
        paths: Sequence[str],
        keys: Sequence[str],
        *,
        elements: bool = False,
    ) -> None:
        self.decided = decided
        self.cookies = dictionary.keys
        self.of_request = [*OF_A_REQUEST, *(name for name in settings if name == "request.cookies")]
        self.texts = list(dict.fromkeys([*dictionary.subjects, *dictionary.literals, *keys]))
        own_settings = {name.lower() for name in world.settings}  # who a persona is, as its subject
        self.settings = [name for name in settings if _is_free(name) and name.lower() not in own_settings]
        names = [text for text in dictionary.keys if text.strip() == text and "." not in text and text not in PERSONA]
        own = {path for persona in world.personas.values() for path in _paths(persona.claims)}
        read = [path for path in paths if "." not in path and path not in PERSONA]
        objects = dict.fromkeys([*OBJECTS, *read])
        nested = [f"{name}.{each}" for name in objects for each in read if each not in OBJECTS and each != name]
        inner = [f"{name}.{key}" for name in [*objects, *nested] for key in [*names, *PERSONA] if key not in read]
        outer = [key for key in names if key not in objects]
        deep = [path for path in paths if "." in path]
        self.claims = list(dict.fromkeys([*sorted(own), *inner, *deep, *CLAIMS, *outer, EACH]))
        lists = ["amr", *(name for name in objects if name not in OBJECTS)]
        self.lists = list(dict.fromkeys([*lists, *(f"{name}.{each}" for name in OBJECTS for each in lists)]))
        self.keys = names if elements else []
        self.documents = list(_documents(dictionary.literals))
        self.numbers = [int(text) for text in dictionary.numbers]
        self.headers = list(dict.fromkeys([*HEADERS, *(key.lower() for key in names)]))

    def groups(self) -> Iterator[list[Change]]:
        """A group for each value: every part of the request has it, except what decides."""
        decided = self.decided
        claims = [path for path in self.claims if not self._touches_a_decisive(path)]
        headers = [name for name in self.headers if name not in decided.names("header")]
        settings = [name for name in self.settings if name.lower() not in decided.names("setting")]
        for value in self._values():
            yield [*self._changes("claim", claims, value), *self._plain(value, headers, settings)]
        lists = [path for path in self.lists if not self._touches_a_decisive(path)]
        for document in [
            *self.documents,
            self.texts,
            *([dict.fromkeys(self.keys, each)] for each in self._texts_of_elements()),
        ]:
            yield self._changes("claim", lists, document)

    def of_entry(self, kind: str, name: str) -> Iterator[list[Change]]:
        """A group for each value of one claim, header or setting."""
        for value in [*self._values(), ""]:
            yield self._settings([name], value) if kind == "setting" else self._changes(kind, [name], value)

    def _plain(self, value: Any, headers: Sequence[str], settings: Sequence[str]) -> Iterator[Change]:
        """Headers and settings, which have only texts as values."""
        if isinstance(value, list):
            return
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield from self._changes("header", headers, text)
        decided = self.decided.names("setting")
        yield from self._settings([*settings, *(name for name in self.of_request if name not in decided)], text)
        if "request.method" not in decided:
            yield RequestChange("setting:request.method", "method", "request.method", value)

    def _settings(self, names: Iterable[str], value: Any) -> list[Change]:
        """Changes of settings. A path begins with a slash, and cookies are an object."""
        values = {
            "request.path": f"/{str(value).removeprefix('/')}",
            "request.cookies": json.dumps(dict.fromkeys(self.cookies, value)),
        }
        return [change for name in names for change in self._changes("setting", [name], values.get(name, value))]

    def _changes(self, kind: str, names: Iterable[str], value: Any) -> list[Change]:
        return [RequestChange(f"{kind}:{name}", kind, name, value) for name in names]

    def _values(self) -> list[Any]:
        return [*self.texts, *self.numbers, *(value for value in VALUES if value not in self.texts), self.texts]

    def _texts_of_elements(self) -> list[Any]:
        """The values that the keys of an object in an array have."""
        return [value for value in self._values() if not isinstance(value, list)] if self.keys else []

    def _touches_a_decisive(self, path: str) -> bool:
        """Whether a claim is one that decides, or a part of it, or has it as a part."""
        decisive = self.decided.names("claim")
        return any(f"{path}.".startswith(f"{each}.") or f"{each}.".startswith(f"{path}.") for each in decisive)


def _is_free(name: str) -> bool:
    """Whether a setting may have any value: not those that say who the persona is, and those that rolecall sets.

    Older versions of PostgREST have a setting for each claim, header and cookie.
    """
    legacy = "request.jwt.claim."
    if name.startswith(legacy):
        return name.removeprefix(legacy) not in PERSONA
    return not name.startswith("request.") or name.startswith(("request.header.", "request.cookie."))


def _documents(literals: Iterable[str]) -> Iterator[Any]:
    """The JSON arrays and objects among the strings of the code, with which ``@>`` compares."""
    for text in literals:
        if text.lstrip().startswith(("[", "{")):
            with suppress(ValueError):  # '{a,b}' is an array of PostgreSQL
                yield json.loads(text)


def _paths(claims: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of the claims of a token that are no objects, without the role and the subject."""
    for name, value in claims.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")
        elif prefix or name not in PERSONA:
            yield f"{prefix}{name}"
