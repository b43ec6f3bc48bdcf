-- An application that already has tables and functions under the names of the migrations, in other shapes, as its
-- generated types show them (F106). Run in a database at the baseline.

CREATE TABLE engagement.customer_favorites (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  customer_id uuid NOT NULL REFERENCES identity.profiles (id) ON DELETE CASCADE,
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  service_id uuid REFERENCES catalog.services (id) ON DELETE CASCADE,
  notes varchar(200),
  created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE engagement.customer_favorites ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Customers can add favorites" ON engagement.customer_favorites
  FOR INSERT TO authenticated
  WITH CHECK (customer_id = auth.uid());
REVOKE ALL ON engagement.customer_favorites FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, DELETE ON engagement.customer_favorites TO authenticated;

CREATE FUNCTION communication.get_unread_count(p_user_id uuid) RETURNS integer
LANGUAGE sql STABLE
RETURN (SELECT count(*)::integer FROM communication.notifications n WHERE n.user_id = p_user_id AND n.read_at IS NULL);
REVOKE ALL ON FUNCTION communication.get_unread_count(uuid) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION communication.get_unread_count(uuid) TO authenticated, service_role;

CREATE FUNCTION communication.send_notification(
  p_user_id uuid, p_title text, p_message text, p_type text, p_data jsonb, p_channels text[]
) RETURNS uuid LANGUAGE sql RETURN gen_random_uuid();

ALTER TABLE communication.notifications DROP COLUMN notification_type;
ALTER TABLE scheduling.operating_hours ALTER COLUMN day_of_week TYPE text USING day_of_week::text;
