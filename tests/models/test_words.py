"""The words in the code of a function, which are values in other tests."""

from __future__ import annotations

import json

from tests.models.lab import Lab
from tests.models.words import json_of, words_of

CODE = """
    CREATE FUNCTION pg_temp.f(jsonb) RETURNS boolean LANGUAGE sql AS $$
      -- It's a comment: 'not this'.
      SELECT $1 #>> '{options,silent}' = 'it''s' OR $1 ->> 'kind' LIKE '%quiet%' OR $1 @> '{"level": 3}' OR 42 = 7
    $$
"""


def test_the_words_are_literals_their_parts_and_numbers(lab: Lab) -> None:
    lab.db.execute(CODE)
    assert words_of(lab, "pg_temp.f") == [
        *("{options,silent}", "it's", "kind", "%quiet%", '{"level": 3}'),
        *("options", "silent", "it", "s", "quiet", "level", "3", "1", "42", "7"),
    ]


def test_the_words_are_keys_values_and_whole_texts_in_json() -> None:
    texts = [json.loads(text) for text in json_of(["silent", '{"level": 3}'])]
    for wanted in ("silent", ["silent"], {"silent": True}, {"silent": "silent"}, {"silent": {"silent": True}}):
        assert any(contains(text, wanted) for text in texts), wanted
    assert {"level": 3} in texts


def contains(value: object, part: object) -> bool:
    """Whether a JSON value has this part, as @> has it for objects."""
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and contains(value[key], each) for key, each in part.items())
    return value == part
