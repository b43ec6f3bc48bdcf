-- migrate:up
CREATE SCHEMA billing;
GRANT USAGE ON SCHEMA billing TO billing_app, billing_auditor;

-- The application sets app.tenant_id at the beginning of each transaction. NULL: it did not.
CREATE FUNCTION billing.tenant() RETURNS int LANGUAGE sql STABLE
RETURN NULLIF(current_setting('app.tenant_id', true), '')::int;

CREATE TABLE billing.tenants (
  id int PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE billing.invoices (
  id int PRIMARY KEY,
  tenant_id int NOT NULL DEFAULT billing.tenant() REFERENCES billing.tenants,
  customer text NOT NULL,
  total numeric(10, 2) NOT NULL,
  -- The foreign key of payments needs it.
  UNIQUE (tenant_id, id)
);

ALTER TABLE billing.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing.invoices ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON billing.tenants, billing.invoices TO billing_app, billing_auditor;
GRANT INSERT, UPDATE, DELETE ON billing.invoices TO billing_app;

CREATE POLICY own_tenant ON billing.tenants TO billing_app USING (id = billing.tenant());
CREATE POLICY own_invoices ON billing.invoices TO billing_app USING (tenant_id = billing.tenant());
CREATE POLICY auditors_read ON billing.tenants FOR SELECT TO billing_auditor USING (true);
CREATE POLICY auditors_read ON billing.invoices FOR SELECT TO billing_auditor USING (true);

-- migrate:down
DROP SCHEMA billing CASCADE;
