-- Roles belong to the whole server, and not to this database. So they are made once, before the changes are deployed.
-- PostgREST logs in as authenticator. It becomes web_anon for a request without a token, and otherwise the role that the
-- token names.
CREATE ROLE lists_user NOLOGIN;
GRANT lists_user TO authenticator;
