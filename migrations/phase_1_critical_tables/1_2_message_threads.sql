-- 1.2: Conversations between two people. A deleted thread is hidden from both; its row stays.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- IF NOT EXISTS, below, would silently accept a table of another shape.
DO $$
DECLARE
  table_name CONSTANT text := 'communication.message_threads';
  columns CONSTANT text[] := ARRAY[
    'id uuid NOT NULL DEFAULT gen_random_uuid()',
    'created_by_id uuid NOT NULL',
    'recipient_id uuid NOT NULL',
    'subject character varying(500)',
    'description text',
    'salon_id uuid',
    'appointment_id uuid',
    'is_archived boolean DEFAULT false',
    'is_deleted boolean DEFAULT false',
    'last_message_at timestamp with time zone',
    'unread_count integer DEFAULT 0',
    'created_at timestamp with time zone DEFAULT now()',
    'updated_at timestamp with time zone',
    'metadata jsonb DEFAULT ''{}''::jsonb'
  ];
  difference record;
BEGIN
  SELECT expected, actual
  INTO difference
  FROM unnest(columns) WITH ORDINALITY AS e (expected, place)
  FULL JOIN (
    SELECT
      concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)),
      row_number() OVER (ORDER BY a.attnum)
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(table_name) AND a.attnum > 0 AND NOT a.attisdropped
  ) AS a (actual, place) USING (place)
  WHERE to_regclass(table_name) IS NOT NULL AND actual IS DISTINCT FROM expected
  ORDER BY place
  LIMIT 1;

  IF FOUND THEN
    RAISE EXCEPTION '% exists in another shape: expected column "%", found "%"',
      table_name, COALESCE(difference.expected, 'none'), COALESCE(difference.actual, 'none')
      USING ERRCODE = '42P16', HINT = 'Rename or remove that table, then run this step again.';
  END IF;
END
$$;

CREATE TABLE IF NOT EXISTS communication.message_threads (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_by_id uuid NOT NULL REFERENCES identity.profiles (id) ON DELETE CASCADE,
  recipient_id uuid NOT NULL REFERENCES identity.profiles (id) ON DELETE CASCADE,

  subject varchar(500),
  description text,
  salon_id uuid REFERENCES organization.salons (id) ON DELETE SET NULL,
  appointment_id uuid REFERENCES scheduling.appointments (id) ON DELETE SET NULL,

  is_archived boolean DEFAULT false,
  is_deleted boolean DEFAULT false,
  last_message_at timestamptz,
  unread_count integer DEFAULT 0,

  created_at timestamptz DEFAULT now(),
  updated_at timestamptz,
  metadata jsonb DEFAULT '{}',

  CONSTRAINT valid_participants CHECK (created_by_id <> recipient_id),
  CONSTRAINT valid_dates CHECK (last_message_at IS NULL OR last_message_at >= created_at),
  CONSTRAINT valid_unread CHECK (unread_count >= 0)
);

CREATE INDEX IF NOT EXISTS idx_message_threads_created_by
  ON communication.message_threads (created_by_id);
CREATE INDEX IF NOT EXISTS idx_message_threads_recipient
  ON communication.message_threads (recipient_id);
CREATE INDEX IF NOT EXISTS idx_message_threads_created_at
  ON communication.message_threads (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_message_threads_last_message_at
  ON communication.message_threads (last_message_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS idx_message_threads_salon
  ON communication.message_threads (salon_id);
CREATE INDEX IF NOT EXISTS idx_message_threads_appointment
  ON communication.message_threads (appointment_id);
CREATE INDEX IF NOT EXISTS idx_message_threads_participants
  ON communication.message_threads (created_by_id, recipient_id);
-- Two people have at most one active thread, in either direction.
CREATE UNIQUE INDEX IF NOT EXISTS idx_message_threads_unique_active
  ON communication.message_threads (LEAST(created_by_id, recipient_id), GREATEST(created_by_id, recipient_id))
  WHERE is_deleted = false;

ALTER TABLE communication.message_threads ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS "Users can view their own threads" ON communication.message_threads;
CREATE POLICY "Users can view their own threads" ON communication.message_threads
  FOR SELECT TO authenticated
  USING (
    (created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()))
    AND is_deleted = false
  );

DROP POLICY IF EXISTS "Users can create threads" ON communication.message_threads;
CREATE POLICY "Users can create threads" ON communication.message_threads
  FOR INSERT TO authenticated
  WITH CHECK (created_by_id = (SELECT auth.uid()) AND created_by_id <> recipient_id);

-- An update can neither delete nor restore a thread: DELETE deletes it.
DROP POLICY IF EXISTS "Users can update their threads" ON communication.message_threads;
CREATE POLICY "Users can update their threads" ON communication.message_threads
  FOR UPDATE TO authenticated
  USING (
    (created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()))
    AND is_deleted = false
  )
  WITH CHECK (
    (created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()))
    AND is_deleted = false
  );

DROP POLICY IF EXISTS "Users can soft-delete their threads" ON communication.message_threads;
CREATE POLICY "Users can soft-delete their threads" ON communication.message_threads
  FOR DELETE TO authenticated
  USING (
    (created_by_id = (SELECT auth.uid()) OR recipient_id = (SELECT auth.uid()))
    AND is_deleted = false
  );

-- Restrictive: permissive policies are combined with OR, so they cannot refuse anything.
DROP POLICY IF EXISTS "Anon cannot access threads" ON communication.message_threads;
CREATE POLICY "Anon cannot access threads" ON communication.message_threads
  AS RESTRICTIVE FOR ALL TO anon
  USING (false)
  WITH CHECK (false);

-- The soft delete that the policy names: DELETE marks the row. SECURITY DEFINER, because the caller may neither write
-- nor see the marked row. No row is deleted, so the command reports none.
CREATE OR REPLACE FUNCTION communication.soft_delete_thread() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE communication.message_threads
  SET is_deleted = true, updated_at = now()
  WHERE id = OLD.id;
  RETURN NULL;
END
$$;

-- Only for roles to which the policies apply. A cascade from a profile runs as the owner of the table, and the
-- service bypasses RLS: both delete the row.
DROP TRIGGER IF EXISTS soft_delete_thread ON communication.message_threads;
CREATE TRIGGER soft_delete_thread
  BEFORE DELETE ON communication.message_threads
  FOR EACH ROW
  WHEN (row_security_active('communication.message_threads'))
  EXECUTE FUNCTION communication.soft_delete_thread();

-- The update policy needs only one participant to be the caller: without this trigger, the other could be changed.
CREATE OR REPLACE FUNCTION communication.keep_thread_participants() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'the participants of a thread cannot be changed'
    USING ERRCODE = '42501';
END
$$;

DROP TRIGGER IF EXISTS keep_thread_participants ON communication.message_threads;
CREATE TRIGGER keep_thread_participants
  BEFORE UPDATE ON communication.message_threads
  FOR EACH ROW
  WHEN (
    (NEW.created_by_id, NEW.recipient_id) IS DISTINCT FROM (OLD.created_by_id, OLD.recipient_id)
    AND row_security_active('communication.message_threads')
  )
  EXECUTE FUNCTION communication.keep_thread_participants();

-- Default privileges may have granted everything.
REVOKE ALL ON FUNCTION communication.soft_delete_thread() FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON FUNCTION communication.keep_thread_participants() FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON communication.message_threads FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON communication.message_threads TO authenticated, service_role;
