-- Checks that phase 4's four views are there as the steps make them. Reads only; silent when all is well.
-- After a deliberate change to a view, its md5 here is the one that the error reports as found.

DO $$
DECLARE
  problems text;
BEGIN
  -- With nothing on the path every name is shown with its schema, whoever asks.
  PERFORM set_config('search_path', '', true);

  WITH
    -- Columns are listed by name: their types are those of the tables, or stand in the definition.
    expected (name, columns, definition, comment) AS (VALUES
      (
        'scheduling.view_blocked_times_with_relations',
        'id, staff_id, appointment_id, reason, blocked_from, blocked_until, is_deleted, created_at, updated_at, '
          || 'staff_user_id, staff_username, staff_email, '
          || 'appointment_salon_id, appointment_customer_id, appointment_date',
        '3b3c5341a8f25c8180866ccefcfbe486',
        'Blocked times that are not deleted, with what the reader may see of the staff member and the appointment.'
      ),
      (
        'communication.view_notifications',
        'id, recipient_id, message, notification_type, metadata, read_at, created_at, updated_at, '
          || 'recipient_username, recipient_email, recipient_avatar',
        'be99f13327e012030f413985768132dc',
        'Notifications with their recipient''s name, address and picture.'
      ),
      (
        'identity.view_profile_metadata',
        'id, username, email, full_name, avatar_url, created_at, updated_at, '
          || 'preferences, tags, interests, social_links, account_status',
        '2a6e844b5a9e5c920751dac95c5b4b72',
        'Profiles with the parts of their metadata as columns, and an account status: active where none is stored.'
      ),
      (
        'identity.view_user_preferences',
        'user_id, username, email_notifications_enabled, push_notifications_enabled, sms_notifications_enabled, '
          || 'booking_auto_confirm, booking_reminder_minutes, marketing_newsletter_enabled, '
          || 'marketing_promotions_enabled, profile_public, show_reviews, preferences_updated_at',
        '23898c95bfb127a0b13378e808b0d467',
        'Each user''s preferences from the profile''s metadata; a missing or malformed one shows its default.'
      )
    ),
    relation AS (
      SELECT
        name,
        c.*,
        (
          SELECT string_agg(format('%s to %s', what, grantee), ', ' ORDER BY what COLLATE "C", grantee COLLATE "C")
          FROM (
            SELECT
              concat_ws(' ', acl.privilege_type, '(' || acl.attname || ')', CASE WHEN acl.is_grantable THEN 'with grant option' END),
              COALESCE(r.rolname, 'PUBLIC')
            FROM (
              SELECT NULL AS attname, whole.*
              FROM aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) AS whole
              UNION ALL
              SELECT a.attname, one.*
              FROM pg_attribute AS a
              CROSS JOIN LATERAL aclexplode(a.attacl) AS one
              WHERE a.attrelid = c.oid
            ) AS acl
            LEFT JOIN pg_roles AS r ON r.oid = acl.grantee
            WHERE acl.grantee = 0 OR r.rolname IN ('anon', 'authenticated', 'service_role')
          ) AS granted (what, grantee)
        ) AS grants
      FROM expected
      JOIN pg_class AS c ON c.oid = to_regclass(name)
    ),
    checks (name, property, expected, actual) AS (
      SELECT e.name, 'kind', 'view', CASE r.relkind WHEN 'v' THEN 'view' ELSE r.relkind::text END
      FROM expected AS e
      LEFT JOIN relation AS r USING (name)

      UNION ALL
      SELECT e.name, property.*
      FROM expected AS e
      JOIN relation AS r USING (name)
      CROSS JOIN LATERAL (VALUES
        ('columns', e.columns, (
          SELECT string_agg(a.attname, ', ' ORDER BY a.attnum)
          FROM pg_attribute AS a
          WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        )),
        ('options', 'security_invoker=true', array_to_string(r.reloptions, ', ')),
        -- Before version 16 the columns of a view's only table were qualified, too.
        ('md5 of the definition', e.definition, md5(regexp_replace(pg_get_viewdef(r.oid), '\mp\.', '', 'g'))),
        ('comment', e.comment, obj_description(r.oid, 'pg_class')),
        ('grants', 'SELECT to authenticated, SELECT to service_role', r.grants)
      ) AS property (name, expected, actual)
    )
  SELECT string_agg(
    format('- %s: %s: expected %s, found %s', name, property, expected, COALESCE(actual, 'none')),
    E'\n' ORDER BY name, property
  )
  INTO problems
  FROM checks
  WHERE actual IS DISTINCT FROM expected;

  IF problems IS NOT NULL THEN
    RAISE EXCEPTION E'phase 4 is not as it should be:\n%', problems;
  END IF;
END
$$;
