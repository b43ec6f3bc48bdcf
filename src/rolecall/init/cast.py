"""The personas that the policies can tell apart, and those of them that own rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any
from uuid import UUID

from rolecall.access.persona import Persona
from rolecall.access.world import World
from rolecall.init.facts import SET, SUBJECT, TOKEN, ColumnOf, Constant, Facts, Source
from rolecall.init.shape import Shape
from rolecall.init.values import uuid

ANONYMOUS = ("anon", "anonymous", "web_anon")  # roles of requests without a token
SINGLE = "request.jwt.claim."  # how the setting of a single claim begins
MOST = 14  # personas: a grid must stay readable
HOMES = ("alice", "bob")  # each has rows of her own, and a tenant of her own


@dataclass(frozen=True)
class Need:
    """A row that makes a persona what it is: in a table that policies look up, with these values."""

    table: str
    values: Mapping[str, Constant] = field(default_factory=dict)


@dataclass(frozen=True)
class Actor:
    """A persona. ``home`` is the one of HOMES whose tenant it belongs to; None: it belongs to none.

    ``homes`` are those whose lookups it is in, if it is in ``needs``. ``is_persona`` is False for one that only owns
    rows. ``has_token`` is False if a setting or another claim, which it has too, says the subject.
    """

    name: str
    role: str
    subject: Any = None
    home: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    homes: tuple[str, ...] = HOMES[:1]
    is_persona: bool = True
    has_token: bool = True

    @property
    def has_subject(self) -> bool:
        """Whether its token says who it is."""
        return self.has_token and self.subject is not None


class Cast:
    """Proposes the personas of a schema.

    ``roles`` are those of clients, and whether they bypass row-level security. ``users`` is the table of the users,
    if the platform has one: then a subject is a UUID.
    """

    def __init__(self, shape: Shape, facts: Facts, roles: Mapping[str, bool], users: str | None) -> None:
        self.shape, self.facts, self.roles, self.users = shape, facts, roles, users
        self.asks_subject = users is not None or SUBJECT in {
            *facts.named.values(),
            *facts.asked,
            *facts.folders.values(),
        }
        sources = [each for each in dict.fromkeys(facts.named.values()) if each.kind in ("claim", "setting")]
        self.sources = [each for each in sources if not self._labels(each)]
        self.asked = {**facts.asked, **{each: self._labels(each) for each in sources if self._labels(each)}}
        self._subjects = 0
        self.actors: list[Actor] = []
        of_policies = {role for policy in shape.policies for role in policy.roles}
        bound = sorted(
            (name for name, bypasses in roles.items() if not bypasses), key=lambda name: name not in of_policies
        )
        signed_in = [name for name in bound if name not in ANONYMOUS]
        self.main = next(iter(signed_in or bound), "")  # that of Alice and Bob; none if row-level security binds none
        self._owners()
        self._lookups()
        self._requests()
        self._others(signed_in[1:])
        self.actors = [*self.actors[:MOST], *(each for each in self.actors[MOST:] if each.home is None)]

    # -- what the request has

    def value(self, source: Source, home: str) -> Any:
        """The value of a claim or a setting for one of HOMES, of the type of the columns that it names."""
        number = HOMES.index(home) + 1
        types = self._types(source)
        if "uuid" in types:
            return uuid(80, number)
        return number if types & {"int2", "int4", "int8", "numeric"} else home

    def _types(self, source: Source) -> set[str]:
        columns = [column for column, each in self.facts.named.items() if each == source]
        return {self.shape.tables[column.table].columns[column.name].type for column in columns}

    def _labels(self, source: Source) -> list[Any]:
        """The values of a claim or setting that is compared with an enum: a role, and no tenant."""
        columns = [column for column, each in self.facts.named.items() if each == source]
        labels = [self.shape.tables[column.table].columns[column.name].labels for column in columns]
        return list(dict.fromkeys(label for each in labels for label in each))

    def _subject(self, name: str) -> Any:
        if not self.asks_subject:
            return None
        self._subjects += 1
        types = self._types(SUBJECT)
        if self.users or "uuid" in types:
            return uuid(0, self._subjects)
        return self._subjects if types & {"int2", "int4", "int8"} else name

    def _of_home(self, home: str) -> dict[str, Any]:
        """The claims and settings of an actor with this home."""
        claims: dict[str, Any] = {}
        for source in self.sources:
            if source.kind == "claim" and source.path not in ("", "role"):
                claims = nested(claims, source.path, self.value(source, home))
        settings = {each.path: self.value(each, home) for each in self.sources if each.kind == "setting"}
        return {"claims": claims, "settings": settings}

    # -- the personas

    def _add(self, name: str, role: str, **details: Any) -> Actor:
        taken, number, unique = {each.name for each in self.actors}, 1, name
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        actor = self._with_subject(Actor(unique, role, **details))
        self.actors.append(replace(actor, settings={**actor.settings, **self._single_claims(actor)}))
        return self.actors[-1]

    def _with_subject(self, actor: Actor) -> Actor:
        """The actor, with what says who it is, if that is not the token's subject."""
        source = self.facts.subject
        if source == TOKEN or actor.subject is None:
            return actor
        if source.kind == "setting":
            return replace(actor, has_token=False, settings={**actor.settings, source.path: actor.subject})
        return replace(actor, has_token=False, claims=nested(actor.claims, source.path, actor.subject))

    def _single_claims(self, actor: Actor) -> dict[str, Any]:
        """The settings with one claim each that the SQL reads."""
        claims = {"role": actor.role} | ({"sub": actor.subject} if actor.has_subject else {})
        found = {path: reduce(_inner, path.split("."), {**actor.claims, **claims}) for path in self.shape.single_claims}
        return {f"{SINGLE}{path}": value for path, value in found.items() if isinstance(value, (str, int, UUID))}

    def _owners(self) -> None:
        is_persona = bool(self.main) and (self.asks_subject or bool(self.sources))
        for home in HOMES:
            subject = self._subject(home)
            self._add(home, self.main, subject=subject, home=home, is_persona=is_persona, **self._of_home(home))
        if self.asks_subject and self.main:
            self._add("stranger", self.main, subject=self._subject("stranger"))
            token = self.facts.subject == TOKEN
            self._add("no_subject" if token else f"no_{_word(_last(self.facts.subject.path))}", self.main)
        elif self.sources and self.main:
            self._add(f"no_{_last(self.sources[0].path)}", self.main)

    def _lookups(self) -> None:
        """A persona for each value of a column in a table that says what a user may do."""
        for table in self.facts.looked_up:
            columns = self.owned(table)
            if not columns or not self.main or not self._says_who(table):
                continue
            values_of = {name: self._compared_values(table, name) for name in self.shape.tables[table].columns}
            for name, values in values_of.items():
                for value in values:
                    if value.value is not False and name not in columns:
                        self._with_need(_persona_name(name, value), Need(table, {name: value}))
            if self.is_list(table):
                self._with_need(_word(singular(table)), Need(table))
            elif self.has_home(table):
                self._with_need("member_of_both", Need(table), HOMES)

    def _says_who(self, table: str) -> bool:
        """Whether a lookup finds the user in a table. A thing that has an owner, as a topic with replies, does not."""
        is_thing = self._is_parent(table) and not self.is_personal(table) and not self.has_home(table)
        return table in self.facts.of_users and not is_thing

    def _is_parent(self, table: str) -> bool:
        return any(key.parent == table for each in self.shape.tables.values() for key in each.foreign_keys)

    def _compared_values(self, table: str, column: str) -> list[Constant]:
        """The values that a lookup compares a column with."""
        at = ColumnOf(table, column)
        return self.facts.values.get(at, []) if at in self.facts.inside else []

    def _with_need(self, name: str, need: Need, homes: tuple[str, ...] = HOMES[:1]) -> None:
        if any(each.homes == HOMES and homes == HOMES for each in self.actors):
            return
        if name in {each.name for each in self.actors}:  # a word in two tables
            name = f"{_word(singular(need.table))}_{name}"
        self._add(
            name,
            self.main,
            subject=self._subject(name),
            home=HOMES[0],
            needs=(need,),
            homes=homes,
            **self._of_home(HOMES[0]),
        )

    def _requests(self) -> None:
        """A persona for each value that a policy asks of a claim or a setting: Alice with it."""
        alice = self.actors[0]
        for source, values in self.asked.items():
            if source.kind not in ("claim", "setting") or source.path in ("", "role") or not self.main:
                continue
            for value in values:
                name = f"alice_{_persona_name(source.path.rpartition('.')[2], Constant(value))}"
                claims, settings = dict(alice.claims), dict(alice.settings)
                if source.kind == "claim":
                    claims = nested(claims, source.path, value)
                else:
                    settings[source.path] = value
                self._add(name, self.main, subject=alice.subject, home=HOMES[0], claims=claims, settings=settings)

    def _others(self, signed_in: Iterable[str]) -> None:
        """Roles besides the main one, requests without a token, and roles that bypass row-level security."""
        alice = self.actors[0]
        for role in signed_in:
            if alice.is_persona:
                self._add(
                    f"alice_{_word(role)}",
                    role,
                    subject=alice.subject,
                    home=HOMES[0],
                    claims=alice.claims,
                    settings=alice.settings,
                )
            else:
                self._add(_word(role), role)
        for role, bypasses in self.roles.items():
            if role in ANONYMOUS and role != self.main:
                self._add(_word(role), role)
            elif bypasses and role != self.main:
                self._add("service" if role == "service_role" else _word(role), role)
        if not any(each.is_persona for each in self.actors) and self.main:
            self._add(_word(self.main), self.main)

    # -- what tables say about users

    def owned(self, table: str) -> list[str]:
        """The columns of a table that say whose row it is."""
        own = [column for column, source in self.facts.named.items() if column.table == table and source == SUBJECT]
        return [column.name for column in own]

    def is_personal(self, table: str) -> bool:
        """Whether a table has at most one row for each user."""
        return table == self.users or any(self.shape.tables[table].is_unique(each) for each in self.owned(table))

    def has_home(self, table: str) -> bool:
        """Whether a row of the table belongs to a tenant: it refers to, or is compared with, something of no user."""
        own = self.owned(table)
        keys = [key for key in self.shape.tables[table].foreign_keys if not set(key.columns) & set(own)]
        if any(not self.is_personal(key.parent) for key in keys):
            return True
        return any(one.name not in own for one, _ in self.links(table))

    def links(self, table: str) -> list[tuple[ColumnOf, ColumnOf]]:
        """The columns of a table that policies compare with a column of another one. A key is looked for by others."""
        pairs = [pair for linked in self.facts.linked for pair in (linked, linked[::-1])]
        unique = self.shape.tables[table].is_unique
        return [(one, other) for one, other in pairs if one.table == table != other.table and not unique(one.name)]

    def is_list(self, table: str) -> bool:
        """Whether being in the table is all that it says: a list of admins."""
        shape = self.shape.tables[table]
        has_values = any(self._compared_values(table, name) for name in shape.columns)
        return (
            table in self.facts.of_users
            and bool(self.owned(table))
            and not (has_values or self._is_parent(table) or self.has_home(table))
            and not any(column.table == table and source != SUBJECT for column, source in self.facts.named.items())
        )


def _inner(claims: Any, key: str) -> Any:
    return claims.get(key) if isinstance(claims, dict) else None


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def persona_of(actor: Actor) -> Persona:
    """The persona of an actor."""
    subject = {"subject": actor.subject} if actor.has_subject else {}
    return World().persona(actor.name, actor.role, settings=actor.settings, **subject, **actor.claims)


def nested(claims: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Claims with a value at a path: ``app_metadata.tenant``."""
    first, _, rest = path.partition(".")
    inner = claims.get(first)
    return {**claims, first: nested(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def singular(table: str) -> str:
    """The name of one row of a table."""
    name = table.partition(".")[2].replace("_", " ")
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    if name.lower().endswith("ies") and len(name) > 4:
        return name[:-3] + "y"
    if name.lower().endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if name.lower().endswith("s") and not name.lower().endswith(("ss", "us", "is")) else name


def _persona_name(column: str, value: Constant) -> str:
    """``admin`` for role = 'admin' and for is_admin."""
    if value == SET:
        return f"with_{_word(column)}"
    if value.value is True or value.value in ("true", "t", "on"):
        return _word(column).removeprefix("is_").removeprefix("has_")
    text = _word(str(value.value))
    return text if re.match(r"[A-Za-z]", text) else f"{_word(column)}_{text}"


def _word(text: str) -> str:
    """A text as one word: a persona's name can be written in a grid and in {…}."""
    return re.sub(r"\W+", "_", text).strip("_").lower() or "persona"
