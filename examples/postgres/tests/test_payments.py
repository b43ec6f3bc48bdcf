from rolecall import grid

test_payments = grid(
    "billing.payments",
    """
                        select   insert   update   delete   give to globex   pay globex's invoice
    acme's payment
      acme              yes      yes      yes      !        !                23503
      globex,
      no_tenant         -        !        -        !        -                -
      auditor           yes      !        !        !        !                !

    globex's payment
      acme, no_tenant   -        !        -        !        -                -
      globex            yes      yes      yes      !        yes              yes
      auditor           yes      !        !        !        !                !
    """,
    update="amount = 1",
    moves={"give to globex": "tenant_id = {globex_id}", "pay globex's invoice": "invoice_id = {globex_id}"},
)
