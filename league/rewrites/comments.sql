-- Comments on a table and on a policy
COMMENT ON TABLE audit.audit_logs IS 'who did what, and when';
COMMENT ON POLICY "Customers can add favorites" ON engagement.customer_favorites IS 'for themselves';
