"""Coverage: which parts of the schema the tests used."""
