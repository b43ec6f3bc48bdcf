"""Connection strings: read strictly, and shown without their password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

URL = re.compile(r"postgres(ql)?://")
MASK = "***"
# What libpq itself would not show, and keys that are worth as much as a password.
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


class Conninfo(str):
    """A connection string. Shown (``repr``, ``str``, in an f-string) it has ``***`` for each secret.

    psycopg takes it as it is, since it encodes the string and does not print it; :meth:`reveal` gives the whole text.
    """

    __slots__ = ()

    def __new__(cls, text: str = "") -> Conninfo:
        return super().__new__(cls, text.reveal() if isinstance(text, Conninfo) else text)

    def reveal(self) -> str:
        """The whole text, with its secrets: for libpq, and for nothing that is shown."""
        return str.__str__(self)

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters by name. Raises psycopg.ProgrammingError if it cannot be read."""
        return conninfo_to_dict(self.reveal())

    def to(self, **params: Any) -> Conninfo:
        """The same server, with some parameters exchanged; None takes one out."""
        return Conninfo(make_conninfo("", **{**self.params, **params}))

    @property
    def masked(self) -> str:
        """The text with ``***`` for each secret, and nothing but that if it cannot be read with certainty."""
        if problem(self.reveal()):
            return MASK
        params = self.params
        found = {name: MASK for name in SECRETS if params.get(name)}
        return make_conninfo("", **{**params, **found}) if found else self.reveal()

    @property
    def bare(self) -> str:
        """The text without its secrets."""
        return self.to(**dict.fromkeys(SECRETS)).reveal()

    @property
    def secrets(self) -> dict[str, str]:
        """Its secrets by name."""
        return {name: str(value) for name, value in self.params.items() if name in SECRETS and value}

    def scrub(self, text: str) -> str:
        """A text in which none of the secrets stands, neither as it is nor percent-encoded."""
        forms = {form for secret in self.secrets.values() for form in (secret, quote(secret, safe=""), quote(secret))}
        forms |= {" ".join(form.split()) for form in forms} - {""}
        for form in sorted(forms, key=len, reverse=True):
            # Of one or two letters, it is only taken out where it stands alone: else no message could be read.
            pattern = re.escape(form) if len(form) > 2 else rf"(?<!\w){re.escape(form)}(?!\w)"
            text = re.sub(pattern, MASK, text)
        return text

    def __repr__(self) -> str:
        return repr(self.masked)

    def __str__(self) -> str:
        return self.masked

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)


def problem(text: str) -> str | None:
    """What is wrong with a connection string; None if it can be used.

    Says it without any part of the text: in one that is broken, nobody can tell which part is the password.
    libpq's own messages repeat it, and some of these strings would have it take a part of the password for a host.
    """
    return next(_problems(text), None)


def _problems(text: str) -> Iterator[str]:
    url = URL.match(text)
    if not text.isprintable():
        yield "it has a character that cannot be printed (a line break, say)"
    elif url:
        yield from _problems_of_url(text[url.end() :])
    elif re.match(r"[^\s=']*://", text):
        yield "it begins neither with postgresql:// nor with postgres://"
    else:
        yield from _problems_of_pairs(text)
    try:
        params = conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError):
        yield "libpq cannot read it"
        return
    yield from _problems_of_params({name: str(value) for name, value in params.items()})


def _problems_of_url(rest: str) -> Iterator[str]:
    """What is wrong behind the scheme: ``user:password@host:port,…/dbname?name=value&…``."""
    if " " in rest:
        yield "it has a space, which must be written %20"
    if re.search(r"%(?![0-9a-fA-F]{2})|%00", rest):
        yield "it has a % without two hexadecimal digits: the character itself must be written %25"
    if rest.count("@") > 1:
        yield "it has two @: the one in the password must be written %40"
    login, at, place = rest.rpartition("@")
    if "/" in login or "?" in login:
        yield "it has a / or ? before the @: in a password they must be written %2F and %3F"
    hosts, query = re.split(r"[/?]", place, maxsplit=1)[0], place.partition("?")[2]
    host = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d*)?")
    if not all(host.fullmatch(each) for each in hosts.split(",")):
        yield "its host and port cannot be read: write user:password@host:port"
    names = [unquote(pair.partition("=")[0]) for pair in query.split("&") if pair]
    if not known().issuperset(names):
        yield "it has a parameter that libpq does not know"
    if names.count("password") + (bool(at) and ":" in login) > 1:
        yield "it has two passwords"


def _problems_of_pairs(text: str) -> Iterator[str]:
    """What is wrong in ``name=value name='a value'``, read as libpq does."""
    names, at = [], 0
    pair = re.compile(r"\s*([^\s=]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?!')(?:[^\s\\]|\\.)*)", re.DOTALL)
    while text[at:].strip():
        found = pair.match(text, at)
        if not found:
            broken = re.match(r"\s*[^\s=]+\s*=", text[at:])
            yield (
                "a quote is not closed" if broken else 'missing "=" behind a word: a value with a space needs quotes'
            )
            return
        names.append(found[1])
        at = found.end()
    if not known().issuperset(names):
        yield "it has a parameter that libpq does not know"
    if names.count("password") > 1:
        yield "it has two passwords"


def _problems_of_params(params: dict[str, str]) -> Iterator[str]:
    """What libpq would read, and then show in an error."""
    if any(port and not (port.isdecimal() and 0 < int(port) < 65536) for port in params.get("port", "").split(",")):
        yield "its port is no number from 1 to 65535"
    if any("@" in host[1:] for host in params.get("host", "").split(",")):  # abstract sockets begin with it
        yield "its host has an @"
    if "://" in params.get("dbname", "") or "=" in params.get("dbname", ""):
        yield "its dbname is a connection string itself"
    number = next((name for name in NUMBERS if not re.fullmatch(r"\s*-?\d*\s*", params.get(name, ""))), None)
    if number:
        yield f"its {number} is no number"


NUMBERS = ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")


@cache
def known() -> frozenset[str]:
    """The names of all parameters that libpq knows, and ``ssl``, which it takes in a URL."""
    return frozenset({option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()} | {"ssl"})
