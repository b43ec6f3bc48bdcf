"""Requests in which everything but the role and the subject has an unusual value."""

from __future__ import annotations

import json
import re
from typing import Any

from rolecall import Session
from rolecall.noninterference.requests import CLAIMS, HEADERS, OBJECTS
from tests.functions.calls import set_claims

WORD = re.compile(r"'([\w.-]+)'")  # a name or a value that the code may look for


def change_request(db: Session, words: list[str], value: Any) -> None:
    """Give every claim, header and custom setting that the code may read one value, but for role and subject."""
    claims = json.loads(db.value("SELECT current_setting('request.jwt.claims')"))
    others = dict.fromkeys([*words, *CLAIMS, "role", "sub"], value)
    set_claims(db, **others | dict.fromkeys(OBJECTS, others) | {key: claims[key] for key in ("role", "sub")})
    text = json.dumps(value).strip('"')
    headers = json.dumps(dict.fromkeys([*words, *HEADERS], text))
    db.execute("SELECT set_config('request.headers', %s, true)", [headers])
    for name in words:
        if re.fullmatch(r"[a-z_]\w*(\.[a-z_]\w*)+", name) and not name.startswith("request."):
            db.execute("SELECT set_config(%s, %s, true)", [name, text])


def words_in(code: str) -> list[str]:
    """The strings in the code of a function or a view."""
    return list(dict.fromkeys(WORD.findall(code)))
