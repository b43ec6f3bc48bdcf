-- The extension pg_graphql: each query is answered with an error in GraphQL's form.

CREATE SCHEMA IF NOT EXISTS graphql;
CREATE SCHEMA IF NOT EXISTS graphql_public;

CREATE FUNCTION graphql.resolve(
  query text, variables jsonb DEFAULT '{}', "operationName" text DEFAULT NULL, extensions jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE
  RETURN '{"errors": [{"message": "pg_graphql is a stand-in here, which resolves no queries"}]}'::jsonb;

CREATE OR REPLACE FUNCTION graphql_public.graphql(
  "operationName" text DEFAULT NULL, query text DEFAULT NULL, variables jsonb DEFAULT NULL, extensions jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql
  RETURN graphql.resolve(query, COALESCE(variables, '{}'), "operationName", extensions);

GRANT USAGE ON SCHEMA graphql, graphql_public TO PUBLIC;
