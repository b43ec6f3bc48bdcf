-- The tables of the application that the plan refers to and does not create.
-- Run once, as the migration role, after the platform. A team replaces this file with its own schema dump.

CREATE SCHEMA identity;
CREATE SCHEMA organization;
CREATE SCHEMA catalog;
CREATE SCHEMA scheduling;
CREATE SCHEMA communication;
CREATE SCHEMA engagement;
CREATE SCHEMA audit;

-- Tables ---------------------------------------------------------------------

CREATE TABLE identity.profiles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  username text,
  email text,
  full_name text,
  avatar_url text,
  metadata jsonb DEFAULT '{}',
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);

CREATE TABLE organization.salons (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  owner_id uuid REFERENCES identity.profiles (id) ON DELETE CASCADE,
  name text NOT NULL,
  slug text,
  description text,
  image_url text,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON organization.salons (owner_id);

CREATE TABLE organization.staff_profiles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  user_id uuid REFERENCES identity.profiles (id) ON DELETE CASCADE,
  created_at timestamptz DEFAULT now()
);
CREATE INDEX ON organization.staff_profiles (salon_id);
CREATE INDEX ON organization.staff_profiles (user_id);

CREATE TABLE catalog.services (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  name text NOT NULL,
  duration_range interval,
  is_active boolean DEFAULT true,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON catalog.services (salon_id);

CREATE TABLE scheduling.appointments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  customer_id uuid REFERENCES identity.profiles (id) ON DELETE CASCADE,
  scheduled_date date,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON scheduling.appointments (salon_id);
CREATE INDEX ON scheduling.appointments (customer_id);

CREATE TABLE scheduling.operating_hours (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  day_of_week integer, -- 0 is Sunday, as extract(dow) counts
  is_open boolean,
  is_active boolean DEFAULT true,
  start_time time,
  end_time time,
  break_start time,
  break_end time
);
CREATE INDEX ON scheduling.operating_hours (salon_id, day_of_week);

CREATE TABLE scheduling.blocked_times (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  staff_id uuid REFERENCES organization.staff_profiles (id) ON DELETE CASCADE,
  appointment_id uuid REFERENCES scheduling.appointments (id) ON DELETE SET NULL,
  reason text,
  blocked_from timestamptz,
  blocked_until timestamptz,
  is_deleted boolean DEFAULT false,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON scheduling.blocked_times (staff_id);
CREATE INDEX ON scheduling.blocked_times (appointment_id);

CREATE TABLE communication.notifications (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid REFERENCES identity.profiles (id) ON DELETE CASCADE,
  message text,
  notification_type varchar,
  metadata jsonb DEFAULT '{}',
  read_at timestamptz,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON communication.notifications (user_id, created_at DESC);

CREATE TABLE engagement.salon_reviews (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  salon_id uuid REFERENCES organization.salons (id) ON DELETE CASCADE,
  customer_id uuid REFERENCES identity.profiles (id) ON DELETE CASCADE,
  rating integer,
  content text,
  status text,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz
);
CREATE INDEX ON engagement.salon_reviews (salon_id);
CREATE INDEX ON engagement.salon_reviews (customer_id);

-- Policies -------------------------------------------------------------------

ALTER TABLE identity.profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization.salons ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization.staff_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE catalog.services ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.appointments ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.operating_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.blocked_times ENABLE ROW LEVEL SECURITY;
ALTER TABLE communication.notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE engagement.salon_reviews ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Users read their own profile" ON identity.profiles
  FOR SELECT TO authenticated
  USING (id = (SELECT auth.uid()));
CREATE POLICY "Users change their own profile" ON identity.profiles
  FOR UPDATE TO authenticated
  USING (id = (SELECT auth.uid()))
  WITH CHECK (id = (SELECT auth.uid()));

CREATE POLICY "Everyone reads salons" ON organization.salons
  FOR SELECT TO anon, authenticated
  USING (true);
CREATE POLICY "Owners change their salon" ON organization.salons
  FOR UPDATE TO authenticated
  USING (owner_id = (SELECT auth.uid()))
  WITH CHECK (owner_id = (SELECT auth.uid()));

-- The policies below read staff_profiles and salons. The policies of these two read no table: no recursion.
CREATE POLICY "Signed-in users read staff profiles" ON organization.staff_profiles
  FOR SELECT TO authenticated
  USING (true);

CREATE POLICY "Everyone reads services" ON catalog.services
  FOR SELECT TO anon, authenticated
  USING (true);
CREATE POLICY "Owners manage their services" ON catalog.services
  FOR ALL TO authenticated
  USING (salon_id = ANY (ARRAY(SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid()))))
  WITH CHECK (salon_id = ANY (ARRAY(SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid()))));

CREATE POLICY "Customer, staff and owner read appointments" ON scheduling.appointments
  FOR SELECT TO authenticated
  USING (
    customer_id = (SELECT auth.uid())
    OR salon_id = ANY (ARRAY(
      SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
      UNION
      SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
    ))
  );
CREATE POLICY "Customers book for themselves" ON scheduling.appointments
  FOR INSERT TO authenticated
  WITH CHECK (customer_id = (SELECT auth.uid()));
CREATE POLICY "Customers change their own appointments" ON scheduling.appointments
  FOR UPDATE TO authenticated
  USING (customer_id = (SELECT auth.uid()))
  WITH CHECK (customer_id = (SELECT auth.uid()));

CREATE POLICY "Everyone reads operating hours" ON scheduling.operating_hours
  FOR SELECT TO anon, authenticated
  USING (true);
CREATE POLICY "Owners manage their operating hours" ON scheduling.operating_hours
  FOR ALL TO authenticated
  USING (salon_id = ANY (ARRAY(SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid()))))
  WITH CHECK (salon_id = ANY (ARRAY(SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid()))));

CREATE POLICY "Staff and owner read their salon's blocked times" ON scheduling.blocked_times
  FOR SELECT TO authenticated
  USING (staff_id = ANY (ARRAY(
    SELECT sp.id
    FROM organization.staff_profiles sp
    WHERE sp.salon_id = ANY (ARRAY(
      SELECT mine.salon_id FROM organization.staff_profiles mine WHERE mine.user_id = (SELECT auth.uid())
      UNION
      SELECT s.id FROM organization.salons s WHERE s.owner_id = (SELECT auth.uid())
    ))
  )));
CREATE POLICY "Staff block their own time" ON scheduling.blocked_times
  FOR INSERT TO authenticated
  WITH CHECK (staff_id = ANY (ARRAY(
    SELECT sp.id FROM organization.staff_profiles sp WHERE sp.user_id = (SELECT auth.uid())
  )));

CREATE POLICY "Users read their own notifications" ON communication.notifications
  FOR SELECT TO authenticated
  USING (user_id = (SELECT auth.uid()));
CREATE POLICY "Users change their own notifications" ON communication.notifications
  FOR UPDATE TO authenticated
  USING (user_id = (SELECT auth.uid()))
  WITH CHECK (user_id = (SELECT auth.uid()));

CREATE POLICY "Everyone reads reviews" ON engagement.salon_reviews
  FOR SELECT TO anon, authenticated
  USING (true);
CREATE POLICY "Customers review for themselves" ON engagement.salon_reviews
  FOR INSERT TO authenticated
  WITH CHECK (customer_id = (SELECT auth.uid()));
CREATE POLICY "Customers change their own reviews" ON engagement.salon_reviews
  FOR UPDATE TO authenticated
  USING (customer_id = (SELECT auth.uid()))
  WITH CHECK (customer_id = (SELECT auth.uid()));

-- Grants ---------------------------------------------------------------------

-- No role has USAGE on audit yet: the plan forgot it (F07), and step 1_0 grants it.
GRANT USAGE ON SCHEMA identity, organization, catalog, scheduling, communication, engagement
  TO authenticated, service_role;
GRANT USAGE ON SCHEMA organization, catalog, scheduling, engagement TO anon;

-- Default privileges may have granted everything: the grants below must not depend on them.
REVOKE ALL ON ALL TABLES IN SCHEMA identity, organization, catalog, scheduling, communication, engagement
  FROM PUBLIC, anon, authenticated, service_role;

GRANT ALL ON ALL TABLES IN SCHEMA identity, organization, catalog, scheduling, communication, engagement
  TO service_role;
GRANT SELECT ON ALL TABLES IN SCHEMA identity, organization, catalog, scheduling, communication, engagement
  TO authenticated;
GRANT SELECT ON organization.salons, catalog.services, scheduling.operating_hours, engagement.salon_reviews
  TO anon;

GRANT UPDATE ON identity.profiles, organization.salons, communication.notifications TO authenticated;
GRANT INSERT ON scheduling.blocked_times TO authenticated;
GRANT INSERT, UPDATE ON scheduling.appointments, engagement.salon_reviews TO authenticated;
GRANT INSERT, UPDATE, DELETE ON catalog.services, scheduling.operating_hours TO authenticated;
