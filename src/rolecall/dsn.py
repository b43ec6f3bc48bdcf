"""Connection strings: checked strictly, and shown without their secrets."""

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
# The parameters that libpq hides, and keys that are as secret as a password.
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


class Conninfo(str):
    """A connection string that hides its secrets: ``repr``, ``str`` and f-strings show ``***`` for each.

    psycopg accepts it as it is, because psycopg encodes the string and does not print it. :meth:`reveal` returns the
    whole text.
    """

    __slots__ = ()

    def __new__(cls, text: str = "") -> Conninfo:
        return super().__new__(cls, text.reveal() if isinstance(text, Conninfo) else text)

    def reveal(self) -> str:
        """The whole text with its secrets. Only libpq may get it; never show it."""
        return str.__str__(self)

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters by name. Raises psycopg.ProgrammingError if it cannot be read."""
        return conninfo_to_dict(self.reveal())

    def to(self, **params: Any) -> Conninfo:
        """The same connection string with other values for some parameters; None removes a parameter."""
        return Conninfo(make_conninfo("", **{**self.params, **params}))

    @property
    def masked(self) -> str:
        """The text with ``***`` for each secret; only ``***`` if it is not clear which part is the secret."""
        if problem(self.reveal()):
            return MASK
        params = self.params
        masks = {name: MASK for name in SECRETS if params.get(name)}
        return make_conninfo("", **{**params, **masks}) if masks else self.reveal()

    @property
    def bare(self) -> str:
        """The text without its secrets."""
        return self.to(**dict.fromkeys(SECRETS)).reveal()

    @property
    def secrets(self) -> dict[str, str]:
        """Its secrets by name."""
        return {name: str(value) for name, value in self.params.items() if name in SECRETS and value}

    def scrub(self, text: str) -> str:
        """The text with ``***`` for each secret, whether it is plain or percent-encoded."""
        forms = {form for secret in self.secrets.values() for form in (secret, quote(secret, safe=""), quote(secret))}
        forms |= {" ".join(form.split()) for form in forms} - {""}
        for form in sorted(forms, key=len, reverse=True):
            # A secret of one or two letters is replaced only where it is a whole word: other words must stay readable.
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

    The answer repeats no part of the text: in a broken string, any part may be the password. libpq's own messages
    repeat it, and libpq would take a part of the password for a host in some of these strings.
    """
    return next(_problems(text), None)


def _problems(text: str) -> Iterator[str]:
    url = URL.match(text)
    if not text.isprintable():
        yield "it has a character that cannot be printed, such as a line break"
    elif url:
        yield from _problems_of_url(text[url.end() :])
    elif re.match(r"[^\s=']*://", text):
        yield "it must begin with postgresql:// or postgres://"
    else:
        yield from _problems_of_pairs(text)
    try:
        params = conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError):
        yield "libpq cannot read it"
        return
    yield from _problems_of_params({name: str(value) for name, value in params.items()})


def _problems_of_url(rest: str) -> Iterator[str]:
    """What is wrong after the scheme: ``user:password@host:port,…/dbname?name=value&…``."""
    if " " in rest:
        yield "it has a space, which must be written %20"
    if re.search(r"%(?![0-9a-fA-F]{2})|%00", rest):
        yield "it has a % without two hexadecimal digits: the character % must be written %25"
    if rest.count("@") > 1:
        yield "it has two @: the one in the password must be written %40"
    login, at, address = rest.rpartition("@")
    if "/" in login or "?" in login:
        yield "it has a / or ? before the @: in a password they must be written %2F and %3F"
    hosts, query = re.split(r"[/?]", address, maxsplit=1)[0], address.partition("?")[2]
    host = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d*)?")
    if not all(host.fullmatch(each) for each in hosts.split(",")):
        yield "its host and port cannot be read: write user:password@host:port"
    names = [unquote(pair.partition("=")[0]) for pair in query.split("&") if pair]
    if not known_parameters().issuperset(names):
        yield "it has a parameter that libpq does not know"
    if names.count("password") + (bool(at) and ":" in login) > 1:
        yield "it has two passwords"


def _problems_of_pairs(text: str) -> Iterator[str]:
    """What is wrong in ``name=value name='a value'``, read as libpq reads it."""
    names, at = [], 0
    pair = re.compile(r"\s*([^\s=]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?!')(?:[^\s\\]|\\.)*)", re.DOTALL)
    while text[at:].strip():
        match = pair.match(text, at)
        if not match:
            has_name = re.match(r"\s*[^\s=]+\s*=", text[at:])
            yield (
                "a quote is not closed" if has_name else 'missing "=" after a word: a value with a space needs quotes'
            )
            return
        names.append(match[1])
        at = match.end()
    if not known_parameters().issuperset(names):
        yield "it has a parameter that libpq does not know"
    if names.count("password") > 1:
        yield "it has two passwords"


def _problems_of_params(params: dict[str, str]) -> Iterator[str]:
    """What is wrong in the parameters as libpq reads them. libpq would show the value in its own error."""
    if any(port and not (port.isdecimal() and 0 < int(port) < 65536) for port in params.get("port", "").split(",")):
        yield "its port is not a number from 1 to 65535"
    if any("@" in host[1:] for host in params.get("host", "").split(",")):  # an abstract socket begins with @
        yield "its host has an @"
    if "://" in params.get("dbname", "") or "=" in params.get("dbname", ""):
        yield "its dbname is a connection string itself"
    wrong = next((name for name in NUMBERS if not re.fullmatch(r"\s*-?\d*\s*", params.get(name, ""))), None)
    if wrong:
        yield f"its {wrong} is not a number"


NUMBERS = ("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")


@cache
def known_parameters() -> frozenset[str]:
    """The names of all parameters that libpq knows, and ``ssl``, which it accepts in a URL."""
    return frozenset({option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()} | {"ssl"})
