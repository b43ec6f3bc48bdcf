-- The audit trail is empty after a crash
ALTER TABLE audit.audit_logs SET UNLOGGED;
