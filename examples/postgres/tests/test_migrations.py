def test_every_migration_can_be_undone(rolecall_scratch, rolecall_phases):
    database = rolecall_scratch()
    for number in rolecall_phases:
        before = database.dump()
        database.apply(number)
        database.rollback(number)
        assert database.dump() == before
        database.apply(number)
