"""Tokens: the form of RFC 7515, and a signature that another implementation accepts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from rolecall.ask.live import options
from rolecall.ask.tokens import token

# A token of jwt.io: {"sub":"1234567890","name":"John Doe","iat":1516239022}, with the secret below it.
KNOWN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)
SECRET = "your-256-bit-secret"  # noqa: S105 - the secret of the example


def test_a_known_token() -> None:
    assert token({"sub": "1234567890", "name": "John Doe", "iat": 1516239022}, SECRET) == KNOWN


def test_claims_that_are_no_ascii() -> None:
    header, claims, signature = token({"sub": "Zoë", "roles": ["a"]}, "s").split(".")
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {"sub": "Zoë", "roles": ["a"]}
    expected = hmac.new(b"s", f"{header}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected


def test_options_of_a_session() -> None:
    assert options({"role": "my role", "a.b": r"x\y"}) == r"-c role=my\ role -c a.b=x\\y"
