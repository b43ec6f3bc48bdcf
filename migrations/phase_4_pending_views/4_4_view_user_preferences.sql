-- 4.4: view_user_preferences shows each preference in a profile's metadata, or its default.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- Users may store anything in metadata, so a text is cast only if it has the right form: otherwise one malformed
-- value would be an error in every query of the view. A malformed or missing value gives the default.
CREATE OR REPLACE VIEW identity.view_user_preferences WITH (security_invoker = true) AS
SELECT
  p.id AS user_id,
  p.username,
  COALESCE((input.booleans -> word.email)::boolean, true) AS email_notifications_enabled,
  COALESCE((input.booleans -> word.push)::boolean, true) AS push_notifications_enabled,
  COALESCE((input.booleans -> word.sms)::boolean, false) AS sms_notifications_enabled,
  COALESCE((input.booleans -> word.auto_confirm)::boolean, false) AS booking_auto_confirm,
  COALESCE(
    CASE WHEN word.reminder_minutes::bigint BETWEEN -2147483648 AND 2147483647 THEN word.reminder_minutes::integer END,
    1440
  ) AS booking_reminder_minutes,
  COALESCE((input.booleans -> word.newsletter)::boolean, false) AS marketing_newsletter_enabled,
  COALESCE((input.booleans -> word.promotions)::boolean, false) AS marketing_promotions_enabled,
  COALESCE((input.booleans -> word.profile_public)::boolean, false) AS profile_public,
  COALESCE((input.booleans -> word.show_reviews)::boolean, true) AS show_reviews,
  p.updated_at AS preferences_updated_at
FROM identity.profiles p
-- All texts that a cast to boolean accepts. A lookup cannot fail; a cast can.
CROSS JOIN (
  SELECT jsonb '{
    "true": true, "tru": true, "tr": true, "t": true, "yes": true, "ye": true, "y": true, "on": true, "1": true,
    "false": false, "fals": false, "fal": false, "fa": false, "f": false, "no": false, "n": false,
    "off": false, "of": false, "0": false
  }' AS booleans
) AS input
-- The single word of each value, without blanks around it; NULL if there is no word or more than one. The minutes
-- have at most 18 digits, which always fit a bigint.
CROSS JOIN LATERAL (
  SELECT
    substring(lower(p.metadata #>> '{preferences,notifications,email}') FROM '^\s*(\w+)\s*$') AS email,
    substring(lower(p.metadata #>> '{preferences,notifications,push}') FROM '^\s*(\w+)\s*$') AS push,
    substring(lower(p.metadata #>> '{preferences,notifications,sms}') FROM '^\s*(\w+)\s*$') AS sms,
    substring(lower(p.metadata #>> '{preferences,booking,auto_confirm}') FROM '^\s*(\w+)\s*$') AS auto_confirm,
    substring(p.metadata #>> '{preferences,booking,reminder_minutes}' FROM '^\s*([-+]?[0-9]{1,18})\s*$') AS reminder_minutes,
    substring(lower(p.metadata #>> '{preferences,marketing,newsletter}') FROM '^\s*(\w+)\s*$') AS newsletter,
    substring(lower(p.metadata #>> '{preferences,marketing,promotions}') FROM '^\s*(\w+)\s*$') AS promotions,
    substring(lower(p.metadata #>> '{preferences,privacy,profile_public}') FROM '^\s*(\w+)\s*$') AS profile_public,
    substring(lower(p.metadata #>> '{preferences,privacy,show_reviews}') FROM '^\s*(\w+)\s*$') AS show_reviews
) AS word;

COMMENT ON VIEW identity.view_user_preferences IS
  'Each user''s preferences from the profile''s metadata; a missing or malformed one shows its default.';

REVOKE ALL ON identity.view_user_preferences FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON identity.view_user_preferences TO authenticated, service_role;
