"""The difference of two access maps in words: who gained and who lost what."""

from rolecall.access_map.difference import compare, groups
from rolecall.report.access import HEAD, Access, AccessMap, Attempt, Granted, ObjectAccess

PERSONAS = dict.fromkeys(("alice", "bob", *(f"user_{number:02}" for number in range(20))), "app_user")
SELECT, DELETE = Attempt("alice's note", "select"), Attempt("alice's note", "delete")


def notes(attempts: dict[Attempt, Granted], *, name: str = "app.notes") -> AccessMap:
    return AccessMap(PERSONAS, {name: ObjectAccess(name, "table", attempts)})


def sentences(before: AccessMap, after: AccessMap) -> list[str]:
    found = compare({HEAD: before}, {HEAD: after})
    changes = [group.sentence for group in groups(found.gained, "gained")]
    changes += [group.sentence for group in groups(found.lost, "lost")]
    return [*changes, *found.not_compared]


def test_equal_maps_have_no_difference() -> None:
    same = notes({SELECT: {"alice": Access()}})
    assert not compare({HEAD: same}, {HEAD: same})


def test_a_gain_and_a_loss() -> None:
    before = notes({SELECT: {"alice": Access(), "bob": Access()}, DELETE: {}})
    after = notes({SELECT: {"alice": Access()}, DELETE: {"alice": Access()}})
    assert sentences(before, after) == [
        'alice gained delete on "alice\'s note" of app.notes',
        'bob lost select on "alice\'s note" of app.notes',
    ]


def test_many_personas_are_one_sentence() -> None:
    everybody = dict.fromkeys(PERSONAS, Access())
    assert sentences(notes({SELECT: {}}), notes({SELECT: everybody})) == [
        "alice, bob, user_00, user_01, user_02, user_03, user_04, user_05, user_06, user_07, user_08, user_09 "
        'and 10 more gained select on "alice\'s note" of app.notes'
    ]


def test_rows_with_the_same_personas_are_one_sentence() -> None:
    other = Attempt("bob's note", "select")
    before, after = notes({SELECT: {}, other: {}}), notes({SELECT: {"bob": Access()}, other: {"bob": Access()}})
    assert sentences(before, after) == ['bob gained select on "alice\'s note" and "bob\'s note" of app.notes']


def test_ways_columns_and_numbers_of_rows() -> None:
    insert, move, view = Attempt("note", "insert"), Attempt("note", "give to bob"), Attempt("", "select")
    before = notes(
        {
            SELECT: {"alice": Access(columns=("id",)), "bob": Access(columns=("id",))},
            insert: {"alice": Access(without=("with RETURNING",))},
            move: {},
            view: {"alice": Access(rows=1)},
        }
    )
    after = notes(
        {
            SELECT: {"alice": Access(), "bob": Access(columns=("id", "body"))},
            insert: {"alice": Access()},
            move: {"alice": Access()},
            view: {"alice": Access(rows=3)},
        }
    )
    assert sentences(before, after) == [
        'alice gained select of all columns on "alice\'s note" of app.notes',
        'bob gained select of the columns body on "alice\'s note" of app.notes',
        'alice gained insert with RETURNING on "note" of app.notes',
        'alice gained update with "give to bob" on "note" of app.notes',
        "alice gained select of 2 more rows on app.notes",
    ]


def test_a_new_object_is_a_gain_for_everybody_who_may_use_it() -> None:
    call = Attempt("", "call")
    after = AccessMap(PERSONAS, {"app.f()": ObjectAccess("app.f()", "function", {call: {"bob": Access()}})})
    assert sentences(AccessMap(PERSONAS, {}), after) == ["bob gained the call of app.f()"]
    assert sentences(after, AccessMap(PERSONAS, {})) == ["bob lost the call of app.f()"]


def test_what_only_one_of_them_tried_is_not_compared() -> None:
    before, after = notes({SELECT: {"alice": Access()}}), notes({DELETE: {"alice": Access()}})
    assert sentences(before, after) == [
        'delete on "alice\'s note" of app.notes: it was tried after, and not before',
        'select on "alice\'s note" of app.notes: it was tried before, and not after',
    ]


def test_other_personas_are_not_compared() -> None:
    before, after = AccessMap({"alice": "a", "bob": "b"}, {}), AccessMap({"alice": "x"}, {})
    assert sentences(before, after) == [
        "the persona bob: only one of the two has it",
        "the persona alice had the role a, and has x",
    ]


def test_an_earlier_phase_repeats_no_change_of_all_phases() -> None:
    nobody, alice, bob = notes({SELECT: {}}), notes({SELECT: {"alice": Access()}}), notes({SELECT: {"bob": Access()}})
    found = compare({HEAD: nobody, 1: nobody}, {HEAD: alice, 1: alice})
    assert [(change.phase, change.persona) for change in found.gained] == [(HEAD, "alice")]
    found = compare({HEAD: nobody, 1: nobody}, {HEAD: nobody, 1: bob})
    assert [(change.phase, change.persona) for change in found.gained] == [(1, "bob")]
    assert compare({HEAD: nobody, 1: nobody}, {HEAD: nobody}).not_compared == (
        ["the access after phase 1: only one of the two has it"]
    )
