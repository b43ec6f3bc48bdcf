-- Privileges are revoked, and granted one by one in another order
REVOKE ALL ON communication.message_threads FROM authenticated, service_role;
GRANT DELETE ON communication.message_threads TO service_role;
GRANT UPDATE ON communication.message_threads TO authenticated;
GRANT INSERT ON communication.message_threads TO service_role, authenticated;
GRANT SELECT, UPDATE ON communication.message_threads TO service_role;
GRANT DELETE, SELECT ON communication.message_threads TO authenticated;
