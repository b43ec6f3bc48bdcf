-- Takes phase 3 back: its table and its view go. audit_logs_view is phase 1's and stays, without the comment.
-- All or nothing, so run it in one transaction. To let it destroy rows, say first: SET enorae.discard_data = 'on';

-- Fail soon rather than queue behind a long transaction and hold the application up.
SET LOCAL lock_timeout = '5s';
-- A role that sees only some rows fails here, rather than count too few.
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

-- Locked before it is counted: no row can come in between.
DO $$
DECLARE
  rows bigint;
BEGIN
  IF to_regclass('catalog.service_booking_rules') IS NOT NULL THEN
    LOCK TABLE catalog.service_booking_rules IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO rows FROM catalog.service_booking_rules;

    IF rows > 0 AND current_setting('enorae.discard_data', true) IS DISTINCT FROM 'on' THEN
      RAISE EXCEPTION E'rolling back phase 3 would destroy rows:\ncatalog.service_booking_rules: %', rows
        USING ERRCODE = '55000', HINT = 'To destroy them, say first: SET enorae.discard_data = ''on'';';
    END IF;
  END IF;
END
$$;

-- RESTRICT, the default: what somebody else has built on these is not ours to take along.
DROP TABLE IF EXISTS catalog.service_booking_rules;
DROP VIEW IF EXISTS engagement.salon_reviews_with_counts_view;

DO $$
BEGIN
  IF to_regclass('audit.audit_logs_view') IS NOT NULL THEN
    COMMENT ON VIEW audit.audit_logs_view IS NULL;
  END IF;
END
$$;
