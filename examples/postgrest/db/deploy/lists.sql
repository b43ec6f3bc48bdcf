-- Deploy lists:lists to pg
BEGIN;

-- PostgREST does not show this schema.
CREATE SCHEMA data;
GRANT USAGE ON SCHEMA data TO lists_user, web_anon;

CREATE FUNCTION data.claim(name text) RETURNS text LANGUAGE sql STABLE
RETURN NULLIF(current_setting('request.jwt.claims', true), '')::json ->> name;

CREATE TABLE data.lists (
  id int PRIMARY KEY,
  owner text NOT NULL DEFAULT data.claim('sub'),
  title text NOT NULL,
  is_public boolean NOT NULL DEFAULT false
);

CREATE TABLE data.items (
  id int PRIMARY KEY,
  list_id int NOT NULL REFERENCES data.lists ON DELETE CASCADE,
  body text NOT NULL,
  done boolean NOT NULL DEFAULT false
);

ALTER TABLE data.lists ENABLE ROW LEVEL SECURITY;
ALTER TABLE data.items ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON data.lists, data.items TO web_anon;
GRANT SELECT, INSERT, UPDATE, DELETE ON data.lists, data.items TO lists_user;

CREATE POLICY "own lists" ON data.lists TO lists_user USING (owner = data.claim('sub'));
CREATE POLICY "public lists" ON data.lists FOR SELECT USING (is_public);
CREATE POLICY "only who pays has public lists" ON data.lists AS RESTRICTIVE
  USING (true) WITH CHECK (NOT is_public OR data.claim('plan') = 'paid');

-- Who sees a list sees its items.
CREATE POLICY "items of visible lists" ON data.items FOR SELECT
  USING (EXISTS (SELECT FROM data.lists AS l WHERE l.id = list_id));
CREATE POLICY "items of own lists" ON data.items TO lists_user
  USING (EXISTS (SELECT FROM data.lists AS l WHERE l.id = list_id AND l.owner = data.claim('sub')));

COMMIT;
