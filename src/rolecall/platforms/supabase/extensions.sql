-- The extensions of a new project: the server's own, or a stand-in. Supabase keeps them out of public.

CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS supabase_vault WITH SCHEMA vault;

-- Since April 2026 pg_graphql is off in new projects. Until it is created, this function answers.
CREATE SCHEMA graphql;
CREATE SCHEMA graphql_public;
CREATE FUNCTION graphql_public.graphql(
  "operationName" text DEFAULT NULL, query text DEFAULT NULL, variables jsonb DEFAULT NULL, extensions jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql
  RETURN '{"errors": [{"message": "pg_graphql extension is not enabled."}]}'::jsonb;
