"""The model of log_action, phase 1.4. JSON is a text in one form."""

from __future__ import annotations

from typing import Any

from tests.models.terms import Caller, Ref, Refused, one_form

BLANKS = " \t\n\r\f\v"
NO_PROFILE = Ref("identity.profiles", "nobody")  # a subject that has no profile
Text = str | None


def log_action(
    kind: Text, entity: Any, action: Text, old: Text, new: Text, reason: Text, caller: Caller
) -> Refused | dict[str, Any]:
    """The new entry. Its actor is the subject of the token, also for the service."""
    if caller.is_anon:
        return Refused("42501", "permission denied for function")
    if caller.uid is None:
        return Refused("42501", "an audit entry needs an actor")
    for text in (kind, action):
        if text and text[100:].strip(" "):
            return Refused("22001")
    # PostgreSQL cuts only spaces off.
    kind, action = kind and kind[:100], action and action[:100]
    if kind is None or action is None:
        return Refused("23502")
    if not kind.strip(BLANKS) or not action.strip(BLANKS):
        return Refused("23514")
    if caller.uid == NO_PROFILE:
        return Refused("23503")
    return {
        "entity_type": kind,
        "entity_id": entity,
        "action": action,
        "actor_id": caller.uid,
        "old_values": one_form(old),
        "new_values": one_form(new),
        "reason": reason,
        "change_summary": None,
        "source_system": "application",
        "ip_address": None,
        "user_agent": None,
        "metadata": "{}",
    }
