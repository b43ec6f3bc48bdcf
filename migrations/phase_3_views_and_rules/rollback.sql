-- Rolls phase 3 back: removes its table and its view. audit_logs_view belongs to phase 1: only its comment is removed.
-- Run it in one transaction: all or nothing. To let it delete rows, run first: SET enorae.discard_data = 'on';

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';
-- A role that cannot see all rows gets an error, instead of counting too few.
SET LOCAL row_security = off;

DO $$
BEGIN
  IF COALESCE(
    to_regclass('scheduling.view_blocked_times_with_relations'),
    to_regclass('communication.view_notifications'),
    to_regclass('identity.view_profile_metadata'),
    to_regclass('identity.view_user_preferences')
  ) IS NOT NULL THEN
    RAISE EXCEPTION 'phase 3 cannot be rolled back while phase 4 is applied: roll back phase 4 first'
      USING ERRCODE = '55000';
  END IF;
END
$$;

-- Lock before counting: no row can be added in between.
DO $$
DECLARE
  rows bigint;
BEGIN
  IF to_regclass('catalog.service_booking_rules') IS NOT NULL THEN
    LOCK TABLE catalog.service_booking_rules IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO rows FROM catalog.service_booking_rules;

    IF rows > 0 AND current_setting('enorae.discard_data', true) IS DISTINCT FROM 'on' THEN
      RAISE EXCEPTION E'rolling back phase 3 would delete rows:\ncatalog.service_booking_rules: %', rows
        USING ERRCODE = '55000', HINT = 'To delete them, run first: SET enorae.discard_data = ''on'';';
    END IF;
  END IF;
END
$$;

-- RESTRICT, the default: objects of others that depend on these must not be dropped.
DROP TABLE IF EXISTS catalog.service_booking_rules;
DROP VIEW IF EXISTS engagement.salon_reviews_with_counts_view;

DO $$
BEGIN
  IF to_regclass('audit.audit_logs_view') IS NOT NULL THEN
    COMMENT ON VIEW audit.audit_logs_view IS NULL;
  END IF;
END
$$;
