"""Tokens of personas for PostgREST: JSON Web Tokens, signed with HS256 (RFC 7515, RFC 7518)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

HEADER = {"alg": "HS256", "typ": "JWT"}


def token(claims: Mapping[str, Any], secret: str) -> str:
    """A signed token with these claims. ``secret`` is the text that PostgREST has as jwt-secret."""
    body = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (HEADER, dict(claims)))
    return f"{body}.{_encoded(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())}"


def _encoded(data: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
