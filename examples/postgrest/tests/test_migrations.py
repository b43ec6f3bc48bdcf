def test_every_change_can_be_deployed_verified_and_reverted(rolecall_scratch, rolecall_phases):
    database = rolecall_scratch()
    for number in rolecall_phases:
        before = database.dump()
        database.apply(number)
        database.verify(number)
        database.rollback(number)
        assert database.dump() == before
        database.apply(number)
