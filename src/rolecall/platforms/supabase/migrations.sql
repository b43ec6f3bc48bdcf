-- supabase_migrations: where Supabase's CLI records the migrations that it ran. Migrations may read it; here it is empty.

CREATE SCHEMA supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (
  version text PRIMARY KEY,
  statements text[],
  name text
);
