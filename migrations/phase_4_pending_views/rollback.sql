-- Rolls phase 4 back: removes its four views, and nothing else. Run twice, it changes nothing.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

-- RESTRICT, the default: objects of others that depend on these must not be dropped.
DROP VIEW IF EXISTS identity.view_user_preferences;
DROP VIEW IF EXISTS identity.view_profile_metadata;
DROP VIEW IF EXISTS communication.view_notifications;
DROP VIEW IF EXISTS scheduling.view_blocked_times_with_relations;
