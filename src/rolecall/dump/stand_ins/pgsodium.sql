-- The extension pgsodium: what Supabase's old column encryption calls. Nothing is encrypted.

CREATE SCHEMA IF NOT EXISTS pgsodium;
CREATE TABLE pgsodium.key (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  status text DEFAULT 'valid',
  created timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  expires timestamptz,
  key_type text,
  key_id bigserial,
  key_context bytea DEFAULT '\x7067736f6469756d',
  name text UNIQUE,
  associated_data text DEFAULT 'associated'
);
CREATE VIEW pgsodium.valid_key AS SELECT * FROM pgsodium.key WHERE status IN ('valid', 'default');

CREATE FUNCTION pgsodium.create_key(key_type text DEFAULT 'aead-det', name text DEFAULT NULL)
RETURNS pgsodium.valid_key
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO pgsodium.key (key_type, name) VALUES (key_type, name)
  RETURNING id, status, created, expires, key_type, key_id, key_context, name, associated_data
$$;
CREATE FUNCTION pgsodium.crypto_aead_det_noncegen() RETURNS bytea LANGUAGE sql VOLATILE
  RETURN uuid_send(gen_random_uuid());
CREATE FUNCTION pgsodium.randombytes_random() RETURNS integer LANGUAGE sql VOLATILE
  RETURN floor(random() * 2147483647)::integer;
CREATE FUNCTION pgsodium.crypto_aead_det_encrypt(
  message bytea, additional bytea, key_uuid uuid, nonce bytea DEFAULT NULL
) RETURNS bytea LANGUAGE sql IMMUTABLE
  RETURN message;
CREATE FUNCTION pgsodium.crypto_aead_det_decrypt(
  message bytea, additional bytea, key_uuid uuid, nonce bytea DEFAULT NULL
) RETURNS bytea LANGUAGE sql IMMUTABLE
  RETURN message;
