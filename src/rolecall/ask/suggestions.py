"""What would change an answer, in sentences. :mod:`rolecall.ask.repairs` tries; these only say where to look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall.ask.answer import Cause
from rolecall.ask.causes import Facts
from rolecall.catalog.objects import grantee, identifier, qualified
from rolecall.report.failures import PolicyDecision, Reason


def suggestions(facts: Facts, command: str, decides: Sequence[Cause], reason: Reason | None) -> list[str]:
    """What would change what decides. ``command`` is the privilege that the command needs."""
    return list(dict.fromkeys(_suggestions(facts, command, decides, reason)))


def _suggestions(facts: Facts, command: str, decides: Sequence[Cause], reason: Reason | None) -> Iterator[str]:
    letting = [each.name for each in decides if each.kind == "policy" and each.text.endswith("lets the row through")]
    for cause in decides:
        if cause.kind == "policy":
            yield from _of_policy(cause, letting, facts, command, reason)
        elif cause.kind in ("schema", "privilege"):
            yield from _of_privilege(cause, facts, command, reason)
        elif cause.kind in ("constraint", "trigger", "function", "rule"):
            yield f"another row or statement, or another {cause.kind}: {cause.name}"
        elif cause.kind in ("row security", "view", "role"):
            yield _of_whole(cause, facts)
    if len(letting) == 1:
        yield f'without policy "{letting[0]}", no policy would let the row through'
    elif letting:
        names = ", ".join(f'"{name}"' for name in letting)
        yield f"each of these policies is enough, so all of them must change: {names}"


def _of_privilege(cause: Cause, facts: Facts, command: str, reason: Reason | None) -> Iterator[str]:
    """What would give the role a privilege that it lacks."""
    to = grantee(facts.role)
    if cause.kind == "schema":
        yield f"GRANT USAGE ON SCHEMA {identifier(cause.name)} TO {to}"
    elif " lacks " in cause.text:
        yield f"GRANT {cause.name} ON {qualified(facts.relation.name)} TO {to}"
        if facts.is_bound and not _of(reason):
            yield f"also a policy of {facts.relation.name} FOR {command.upper()} TO {to}: none applies"


def _of_policy(
    cause: Cause, letting: Sequence[str], facts: Facts, command: str, reason: Reason | None
) -> Iterator[str]:
    """What would make a policy let the row through, or which policy is missing."""
    policies = {each.name: each for each in [*_of(reason), *_reads(reason)]}
    if not cause.name and "no policy" in cause.text:
        yield f"a policy of {facts.relation.name} FOR {command.upper()} TO {grantee(facts.role)}"
    elif cause.name in policies and cause.name not in letting:
        yield f'a row for which policy "{cause.name}" is true: {_predicate(policies[cause.name])}'


def _of_whole(cause: Cause, facts: Facts) -> str:
    """What would change that no policy binds the role."""
    if cause.kind == "row security":
        return f"ALTER TABLE {qualified(facts.relation.name)} ENABLE ROW LEVEL SECURITY, and policies"
    if cause.kind == "view" and not facts.relation.invoker and facts.relation.letter == "v":
        return f"ALTER VIEW {qualified(facts.relation.name)} SET (security_invoker = true)"
    if cause.kind == "view":
        below = ", ".join(facts.relation.below)
        return f"the policies of {below}: ask about these" if below else "the query of the view"
    return f"another role: policies do not bind {facts.role}"


def _predicate(policy: PolicyDecision) -> str:
    """USING and WITH CHECK of a policy, from its text."""
    _, _, rest = policy.policy.partition(") ")
    return rest or "it has no condition"


def _of(reason: Reason | None) -> Sequence[PolicyDecision]:
    return reason.decisions.policies if reason else ()


def _reads(reason: Reason | None) -> Sequence[PolicyDecision]:
    return reason.reads.policies if reason and reason.reads else ()
