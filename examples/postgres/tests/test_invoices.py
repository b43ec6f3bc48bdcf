from rolecall import grid

test_invoices = grid(
    "billing.invoices",
    """
                        select   insert   update   delete   give to globex
    # A payment refers to it.
    acme's invoice
      acme              yes      yes      yes      23503    !
      globex,
      no_tenant         -        !        -        -        -
      auditor           yes      !        !        !        !

    acme's unpaid invoice
      acme              yes      yes      yes      yes      !
      globex,
      no_tenant         -        !        -        -        -
      auditor           yes      !        !        !        !

    globex's invoice
      acme,
      no_tenant         -        !        -        -        -
      globex            yes      yes      yes      23503    yes
      auditor           yes      !        !        !        !

    globex's unpaid invoice
      acme,
      no_tenant         -        !        -        -        -
      globex            yes      yes      yes      yes      yes
      auditor           yes      !        !        !        !
    """,
    update="total = 1",
    moves={"give to globex": "tenant_id = {globex_id}"},
    decided_by=["tenant_id", "setting:app.tenant_id"],
)


def test_a_new_invoice_is_of_the_tenant_of_the_request(rolecall_db):
    with rolecall_db.acting_as("globex"):
        new = "INSERT INTO billing.invoices (id, customer, total) VALUES (3, 'Ben', 5) RETURNING tenant_id"
        assert rolecall_db.value(new) == 2
