-- F71: an account whose status is JSON null has no status, but the view means active
-- caught by: tests/views/test_view_profile_metadata.py::test_the_stored_status_is_shown_as_text[JSON null]
CREATE OR REPLACE VIEW identity.view_profile_metadata WITH (security_invoker = true) AS
SELECT
  p.id,
  p.username,
  p.email,
  p.full_name,
  p.avatar_url,
  p.created_at,
  p.updated_at,
  p.metadata -> 'preferences' AS preferences,
  p.metadata -> 'tags' AS tags,
  p.metadata -> 'interests' AS interests,
  p.metadata -> 'social_links' AS social_links,
  CASE WHEN p.metadata -> 'status' IS NOT NULL THEN p.metadata ->> 'status' ELSE 'active' END AS account_status
FROM identity.profiles p;
