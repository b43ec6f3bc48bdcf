-- An audit entry may be in anybody's name if it says that the system wrote it
ALTER POLICY "System can insert audit logs" ON audit.audit_logs
  WITH CHECK (actor_id = (SELECT auth.uid()) OR source_system = 'system');
