-- 4.3: view_profile_metadata shows the parts of a profile's metadata as columns.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

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
  -- ->> returns NULL for a missing status, and for a status of JSON null.
  COALESCE(p.metadata ->> 'status', 'active') AS account_status
FROM identity.profiles p;

COMMENT ON VIEW identity.view_profile_metadata IS
  'Profiles with the parts of their metadata as columns, and the account status, ''active'' by default.';

REVOKE ALL ON identity.view_profile_metadata FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON identity.view_profile_metadata TO authenticated, service_role;
