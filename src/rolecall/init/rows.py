"""Proposes rows: of each table one for each owner, and one for each value that a policy tells apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import Connection, sql

from rolecall.access.world import UNLOADABLE, as_persona, insert
from rolecall.init import causes, references, values, variants
from rolecall.init.cast import HOMES, Actor, Cast, persona_of, singular
from rolecall.init.existing_rows import ExistingRows, plain
from rolecall.init.facts import SUBJECT, ColumnOf, Constant, Facts
from rolecall.init.fitting import Fitting, UnfitError
from rolecall.init.proposed_row import Origin, ProposedRow
from rolecall.init.shape import Shape, Table
from rolecall.noninterference.schema import ForeignKey

Key = tuple[str, str, str]  # the table, the owner and the home of a row


class Rows:
    """Makes rows in the transaction of ``connection``. ``failed`` has the tables without a row, with the error."""

    def __init__(self, connection: Connection[Any], shape: Shape, facts: Facts, cast: Cast) -> None:
        self.connection, self.shape, self.facts, self.cast = connection, shape, facts, cast
        self.references = references.References(facts)
        self.rows: dict[str, list[ProposedRow]] = {}
        self.failed: dict[str, str] = {}
        self.existing_rows = ExistingRows(connection)
        self.actors = {each.name: each for each in cast.actors}
        self._proposed: dict[Key, ProposedRow | None] = {}
        self._alternatives: dict[str, tuple[str, Sequence[str]]] = {}  # by table: the one in use, and all
        self._groups = {name: number for number, name in enumerate(shape.tables, start=1)}

    def propose(self, tables: Sequence[str]) -> None:
        """Make rows of the tables, and of those that they refer to or that policies look up."""
        for actor in self.actors.values():
            if self.cast.users and actor.subject is not None and actor.subject == self._first(actor).subject:
                self.ensure(self.cast.users, self._first(actor), actor.home or HOMES[0])
        for name in tables:
            self._name_present(name)
        self._of_homes(self.facts.looked_up)
        for owner, need in [(each, need) for each in self.cast.actors for need in each.needs]:
            for home in owner.homes:
                self.ensure(need.table, owner, home, need.values)
        self._of_homes(tables)  # a trigger may ask whether the persona that inserts a row is one of those
        for name in tables:
            base = self._proposed.get((name, HOMES[0], HOMES[0]))
            if base and not any(need.table == name for actor in self.cast.actors for need in actor.needs):
                variants.add(self, base)
        for name in tables:
            self._other_alternatives(name)
            if name in self.facts.negated:
                self._cross(name)

    def _of_homes(self, tables: Iterable[str]) -> None:
        """Make the rows of Alice and of Bob."""
        for name in tables:
            for home in () if self.cast.is_list(name) else HOMES:
                self.ensure(name, self.actors[home], home)

    def _cross(self, name: str) -> None:
        """Make a row of Alice's that refers to what is Bob's: a policy wants that something of hers does not exist."""
        if self.cast.owned(name) and self.cast.has_home(name) and not self.cast.is_personal(name):
            self._make(name, self.actors[HOMES[0]], HOMES[1], {}, f"{_title(self.actors[HOMES[0]], name)} at bob's")
            self._forget(name)

    def _name_present(self, name: str) -> None:
        """Name the rows that migrations have inserted into a table of no user: a setting, a list of permissions."""
        if self.cast.owned(name) or self.cast.has_home(name):
            return
        table = self.shape.tables[name]
        for number, row in enumerate(self.existing_rows.all(table), start=1):
            columns = {
                each.name: plain(row[each.name])
                for each in table.columns.values()
                if row[each.name] is not None
                and not each.is_fixed
                and not (each.has_default and (each.category == "D" or each.type == "uuid"))
            }
            proposed = self._keep(name, f"{singular(name)} {number}", columns, row, {}, exists=True)
            for home in HOMES:
                self._proposed.setdefault((name, home, home), proposed)

    def _first(self, actor: Actor) -> Actor:
        """The first persona with this subject: Alice, for Alice with another token."""
        return next(each for each in self.actors.values() if each.subject == actor.subject)

    # -- one row

    def ensure(
        self, table: str, owner: Actor, home: str, changes: Mapping[str, Constant] | None = None
    ) -> ProposedRow | None:
        """The row of an owner in a table; it is made at the first call. None if that fails, or is under way."""
        key = (table, owner.name, HOMES[0] if self.cast.is_personal(table) else home)
        if key not in self._proposed:
            self._proposed[key] = None  # while its parents are made: a cycle
            self._proposed[key] = self._make(table, owner, home, changes or {})
        return self._proposed[key]

    def _make(
        self,
        name: str,
        owner: Actor,
        home: str,
        changes: Mapping[str, Constant],
        title: str = "",
        without: Collection[str] = (),
        parents: Mapping[str, ProposedRow] | None = None,
    ) -> ProposedRow | None:
        table = self.shape.tables[name]
        number = len(self.rows.get(name, ())) + 1
        given, sources = self._given(table, owner, home, self._others(table, owner))
        for column, parent in ((each, row) for each, row in (parents or {}).items() if each in sources):
            of_parent = sources[column].column
            given[column] = plain(parent.whole[of_parent])
            sources[column] = Origin(parent.table, parent.name, of_parent)
        choices = [] if without else references.alternatives(table, sources)
        given = {column: value for column, value in given.items() if column not in without}
        sources = {column: source for column, source in sources.items() if column not in without}
        changes = {**self.references.named_keys(table), **changes}
        for column, value in changes.items():
            key = table.foreign_key_of(column)
            named = key is not None and self.references.is_named(key)
            given[column] = (
                self._named(key, value, home)
                if key and named
                else values.of_constant(value, table.columns[column], owner.name, number)
            )
            sources.pop(column, None)
        known = [proposed.whole for proposed in self.rows.get(name, ())]
        if (row := self.existing_rows.find(table, given, known)) is not None:
            return self._existing(table, owner, row, given, changes, sources)
        fixed = {
            each.name: self._identity(each.name, name, number) for each in table.columns.values() if each.is_identity
        }
        free = self._free(table, owner, number, {*given, *fixed})
        fitting = Fitting(self.connection, table, {**given, **fixed}, free, owner.name, number)
        maker = ""
        try:
            whole = fitting.insert()
        except UnfitError as error:
            found = self._insert_as(table, owner, {**given, **fitting.free}) if error.asks_who else None
            row = self.existing_rows.like(table, given, known) if error.exists else None
            if row is not None:
                return self._existing(table, owner, row, given, {}, sources)
            if found is None:
                self.failed.setdefault(name, causes.first(table, self.failed, self.rows) or str(error))
                made = self._one_of(choices, name, owner, home, changes, title)
                again = made is None and parents is None and not (without or error.asks_who)
                return self._of_other_parents(table, owner, home, changes, title, sources) if again else made
            maker, whole = found
        columns = {**given, **fitting.free}
        if not columns:  # a row of defaults: the world names one of them
            present = [(name, plain(value)) for name, value in whole.items() if value is not None]
            columns = dict(present[:1]) or dict.fromkeys(list(whole)[:1])
        return self._keep(name, title or _title(owner, name), columns, whole, sources, maker=maker)

    def _one_of(
        self,
        alternatives: Sequence[str],
        name: str,
        owner: Actor,
        home: str,
        changes: Mapping[str, Constant],
        title: str,
    ) -> ProposedRow | None:
        """Make a row that refers to one thing only. Each other thing gets a row of Alice's, later."""
        for kept in alternatives:
            made = self._make(name, owner, home, changes, title, {*alternatives} - {kept})
            if made:
                self._alternatives.setdefault(name, (kept, alternatives))
                return made
        return None

    def _of_other_parents(
        self,
        table: Table,
        owner: Actor,
        home: str,
        changes: Mapping[str, Constant],
        title: str,
        sources: Mapping[str, Origin],
    ) -> ProposedRow | None:
        """Make a row that refers to another row than the usual one: maybe it may not refer to one thing twice."""
        other = self.actors[HOMES[0] if home == HOMES[1] else HOMES[1]]
        for column, origin in reversed([*sources.items()]):
            key = table.foreign_key_of(column)
            parent = self.ensure(origin.table, other, other.name)
            if key and parent and parent.name != origin.row:
                columns = [each for each in key.columns if each in sources]
                if made := self._make(table.name, owner, home, changes, title, parents=dict.fromkeys(columns, parent)):
                    return made
        return None

    def _other_alternatives(self, name: str) -> None:
        """Make a row of Alice's for each thing to which a row of the table may refer, in place of the first."""
        first, alternatives = self._alternatives.get(name, ("", []))
        alice = self.actors[HOMES[0]]
        for kept in alternatives:
            if kept != first:
                title = f"{_title(alice, name)} with {kept}"
                self._make(name, alice, HOMES[0], {}, title, {*alternatives} - {kept})
                self._forget(name)

    def _insert_as(self, table: Table, owner: Actor, columns: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Insert a row as a persona, because a trigger asks who acts: the owner, or another one that may do so."""
        for actor in (owner, *(each for each in self.cast.actors if each.home and each.is_persona)):
            try:
                with self.connection.transaction(), as_persona(self.connection, persona_of(actor)):
                    self.connection.execute(insert(table.name, columns))
            except UNLOADABLE:
                continue
            known = [proposed.whole for proposed in self.rows.get(table.name, ())]
            row = self.existing_rows.find(table, columns, known)
            if row is not None:
                return actor.name, row
        return None

    def _keep(
        self,
        table: str,
        title: str,
        columns: Mapping[str, Any],
        whole: dict[str, Any],
        sources: dict[str, Origin],
        **how: Any,
    ) -> ProposedRow:
        """Note a row that was made."""
        self.failed.pop(table, None)
        ordered = {column: columns[column] for column in self.shape.tables[table].columns if column in columns}
        proposed = ProposedRow(table, self._unique(table, title), ordered, whole, sources, **how)
        self.rows.setdefault(table, []).append(proposed)
        return proposed

    def _existing(
        self,
        table: Table,
        owner: Actor,
        row: dict[str, Any],
        given: Mapping[str, Any],
        changes: Mapping[str, Constant],
        sources: dict[str, Origin],
    ) -> ProposedRow | None:
        """Name a row that something else has made. If it must have other values, they are set in the seed."""
        changed = {column: given[column] for column in changes if str(row[column]) != str(given[column])}
        users = self._proposed.get((self.cast.users or "", owner.name, HOMES[0]))
        if changed:
            error = self.existing_rows.change(table, row, changed, (users.table, users.columns) if users else None)
            if error or users is None:
                self.failed.setdefault(table.name, error)
                return None
            users.exists = True
        row = {**row, **changed}
        columns = {
            each.name: plain(row[each.name])
            for each in table.columns.values()
            if row[each.name] is not None and not each.is_fixed and (each.name in given or each.is_required)
        }
        return self._keep(table.name, _title(owner, table.name), columns, row, sources, exists=True)

    def _unique(self, table: str, wanted: str) -> str:
        taken, title, number = {each.name for each in self.rows.get(table, ())}, wanted, 1
        while title in taken:
            number += 1
            title = f"{wanted} {number}"
        return title

    def _others(self, table: Table, owner: Actor) -> dict[str, Actor]:
        """Whose a row is by its other columns: a letter from Alice is for Bob."""
        own = [each for each in self.cast.owned(table.name) if not table.is_unique(each)]
        home = HOMES[0] if owner.name == HOMES[1] else HOMES[1]
        return dict.fromkeys(own[1:], self.actors[home])

    def _given(
        self, table: Table, owner: Actor, home: str, others: Mapping[str, Actor]
    ) -> tuple[dict[str, Any], dict[str, Origin]]:
        """The values that say whose row it is, or what it refers to."""
        given: dict[str, Any] = {}
        sources: dict[str, Origin] = {}
        for column, parent, of_parent in self._referred(table, owner, home, others):
            given.setdefault(column, plain(parent.whole[of_parent]))
            sources.setdefault(column, Origin(parent.table, parent.name, of_parent))
        for name in (each.name for each in table.columns.values() if not each.is_fixed):
            source = self.facts.named.get(ColumnOf(table.name, name))
            if source == SUBJECT:
                given[name] = others.get(name, owner).subject
                sources.pop(name, None)
            elif source in self.cast.sources and name not in given:
                given[name] = self.cast.value(source, home)
        given |= self._paths(table, owner)
        for linked, other in self.cast.links(table.name):
            one = linked.name
            if one not in given and not table.columns[one].is_fixed and (row := self._peer(other, home)):
                given[one] = plain(row.whole[other.name])
                sources[one] = Origin(row.table, row.name, other.name)
        return {name: value for name, value in given.items() if value is not None}, sources

    def _paths(self, table: Table, owner: Actor) -> dict[str, Any]:
        """The columns with a path, whose first part a policy asks for."""
        paths = {}
        for column, first in self.facts.folders.items():
            if column.table == table.name:
                folder = first.value if isinstance(first, Constant) else owner.subject
                number = len(self.rows.get(table.name, ())) + 1
                paths[column.name] = f"{folder}/file-{number}.png"
        return paths

    def _referred(
        self, table: Table, owner: Actor, home: str, others: Mapping[str, Actor]
    ) -> Iterator[tuple[str, ProposedRow, str]]:
        """The columns of foreign keys, each with the row that it refers to and the column there."""
        for key in table.foreign_keys:
            if self.references.is_wanted(table, key):
                whose = next((others[each] for each in key.columns if each in others), owner)
                parent = None if self.references.is_named(key) else self._parent(key, whose, home)
                for column, of_parent in zip(key.columns, key.keys, strict=True):
                    if parent:
                        yield column, parent, of_parent

    def _named(self, key: ForeignKey, constant: Constant, home: str) -> Any:
        """The value of a foreign key that a policy names; the row is made if there is none."""
        parent = self.shape.tables[key.parent]
        value = values.of_constant(constant, parent.columns[key.keys[0]], home, 1)
        query = sql.SQL("SELECT FROM {} WHERE {}::text = {}").format(
            sql.Identifier(*key.parent.split(".", 1)), sql.Identifier(key.keys[0]), sql.Literal(str(value))
        )
        if self.connection.execute(query).fetchone() is None:
            self._make(key.parent, self.actors[home], home, {key.keys[0]: constant}, f"{singular(key.parent)} {value}")
            self._move_before(key.parent, key.child)
        return value

    def _move_before(self, parent: str, child: str) -> None:
        """Put a table before another one. The world is loaded in this order."""
        names = list(self.rows)
        if parent in names and child in names and names.index(parent) > names.index(child):
            names.remove(parent)
            names.insert(names.index(child), parent)
            self.rows = {name: self.rows[name] for name in names}

    def _parent(self, key: ForeignKey, owner: Actor, home: str) -> ProposedRow | None:
        personal = self.cast.is_personal(key.parent)
        return self.ensure(key.parent, owner if personal else self.actors[home], home)

    def _peer(self, column: ColumnOf, home: str) -> ProposedRow | None:
        """The row of another table that a link leads to, if that can be made before this one."""
        return self.ensure(column.table, self.actors[home], home)

    def _identity(self, column: str, table: str, number: int) -> int:
        """The number that the column's sequence will give to the row in the tests."""
        start = self.connection.execute(
            "SELECT COALESCE(last_value + increment_by, start_value) FROM pg_sequences"
            " WHERE format('%%I.%%I', schemaname, sequencename)"
            " = pg_get_serial_sequence(quote_ident(%s) || '.' || quote_ident(%s), %s)",
            [*table.split(".", 1), column],
        ).fetchone()
        return int(start[0] if start else 1) + number - 1

    def _free(self, table: Table, owner: Actor, number: int, known: set[str]) -> dict[str, Any]:
        """The values of the other columns that a row must have, or that must differ between rows."""
        unique = {column for columns in table.unique.values() for column in columns}
        free = {}
        for column in table.columns.values():
            is_key = column.name in table.key
            if column.name in known or column.is_fixed or not (column.is_required or is_key):
                continue
            if is_key or (column.name in unique and column.type not in values.OTHERS and column.category != "E"):
                free[column.name] = values.key(column, owner.name, self._groups[table.name], number)
            else:
                changes = self.facts.values.get(ColumnOf(table.name, column.name), [])
                free[column.name] = self._best(table, column.name, owner, number, [each.value for each in changes])
        return free

    def _best(self, table: Table, column: str, owner: Actor, number: int, changes: Sequence[Any]) -> Any:
        """The best value of a column that no policy asks for."""
        best = values.best(table.columns[column], owner.name, number)
        choices = [*table.columns[column].labels, *values.choices(table, column)] or [best]
        return next((each for each in choices if each not in changes), choices[0])

    def vary(self, base: ProposedRow, changes: Mapping[str, Constant], what: str, column: str = "") -> None:
        """Make another row of Alice's, with other values. It is no loss if the database refuses it.

        ``column``: what tells it apart. If a trigger sets that, there is no such row.
        """
        made = self._make(base.table, self.actors[HOMES[0]], HOMES[0], changes, f"{base.name} with {what}")
        if made and column and _is_overwritten(made, column):
            self.rows[base.table].remove(made)
        self._forget(base.table)

    def _forget(self, table: str) -> None:
        """A table that has a row has not failed."""
        if self.rows.get(table):
            self.failed.pop(table, None)


def _is_overwritten(proposed: ProposedRow, column: str) -> bool:
    """Whether a trigger has stored another time than the given one: created_at, mostly."""
    given, stored = proposed.columns.get(column), proposed.whole[column]
    return isinstance(given, str) and isinstance(stored, date) and str(stored)[:4] != given[:4]


def _title(owner: Actor, table: str) -> str:
    """The name of a row."""
    return f"{owner.name}'s {singular(table)}"
