-- migrate:up
-- Row-level security does not apply to a foreign key. With invoice_id alone, a tenant could pay the invoice of another
-- one, and so find out that it exists. With tenant_id in the key, both belong to one tenant.
CREATE TABLE billing.payments (
  id int PRIMARY KEY,
  tenant_id int NOT NULL DEFAULT billing.tenant(),
  invoice_id int NOT NULL,
  amount numeric(10, 2) NOT NULL,
  FOREIGN KEY (tenant_id, invoice_id) REFERENCES billing.invoices (tenant_id, id)
);

ALTER TABLE billing.payments ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON billing.payments TO billing_app;
GRANT SELECT ON billing.payments TO billing_auditor;
CREATE POLICY own_payments ON billing.payments TO billing_app USING (tenant_id = billing.tenant());
CREATE POLICY auditors_read ON billing.payments FOR SELECT TO billing_auditor USING (true);

-- migrate:down
DROP TABLE billing.payments;
