"""The world: two tenants, a request without a tenant, and an auditor."""

from rolecall import World

TENANTS = {"acme": 1, "globex": 2}


def pytest_rolecall_world() -> World:
    world = World()
    for name, number in TENANTS.items():
        world.persona(name, "billing_app", settings={"app.tenant_id": number})
    world.persona("no_tenant", "billing_app")
    world.persona("auditor", "billing_auditor")

    for name, number in TENANTS.items():
        world.add("billing.tenants", name, id=number, name=name.title())
        world.add("billing.invoices", f"{name}'s invoice", id=number, tenant_id=number, customer="Ada", total=40)
        columns = {"id": number + 10, "tenant_id": number, "customer": "Ben", "total": 70}
        world.add("billing.invoices", f"{name}'s unpaid invoice", **columns)
        world.add("billing.payments", f"{name}'s payment", id=number, tenant_id=number, invoice_id=number, amount=40)
        world.alias(f"{name}_id", number)
    return world
