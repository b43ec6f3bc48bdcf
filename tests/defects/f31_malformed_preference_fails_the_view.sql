-- F31: a single malformed preference is an error for every reader of the view
-- caught by: tests/views/test_view_user_preferences.py::test_a_malformed_value_changes_no_other_value
-- caught by: tests/views/test_view_user_preferences.py::test_a_malformed_profile_does_not_break_the_view
CREATE OR REPLACE VIEW identity.view_user_preferences WITH (security_invoker = true) AS
SELECT
  p.id AS user_id,
  p.username,
  COALESCE((p.metadata #>> '{preferences,notifications,email}')::boolean, true) AS email_notifications_enabled,
  COALESCE((p.metadata #>> '{preferences,notifications,push}')::boolean, true) AS push_notifications_enabled,
  COALESCE((p.metadata #>> '{preferences,notifications,sms}')::boolean, false) AS sms_notifications_enabled,
  COALESCE((p.metadata #>> '{preferences,booking,auto_confirm}')::boolean, false) AS booking_auto_confirm,
  COALESCE((p.metadata #>> '{preferences,booking,reminder_minutes}')::integer, 1440) AS booking_reminder_minutes,
  COALESCE((p.metadata #>> '{preferences,marketing,newsletter}')::boolean, false) AS marketing_newsletter_enabled,
  COALESCE((p.metadata #>> '{preferences,marketing,promotions}')::boolean, false) AS marketing_promotions_enabled,
  COALESCE((p.metadata #>> '{preferences,privacy,profile_public}')::boolean, false) AS profile_public,
  COALESCE((p.metadata #>> '{preferences,privacy,show_reviews}')::boolean, true) AS show_reviews,
  p.updated_at AS preferences_updated_at
FROM identity.profiles p;
