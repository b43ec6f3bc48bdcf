-- The extension uuid-ossp, which no wheel has. Versions 1 and 1mc are random: no test can depend on a clock and an
-- address. Version 5 needs SHA-1, which PostgreSQL does not have: it takes SHA-256, so its values are others.

CREATE FUNCTION @extschema@.uuid_generate_v4() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN gen_random_uuid();
CREATE FUNCTION @extschema@.uuid_generate_v1() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN gen_random_uuid();
CREATE FUNCTION @extschema@.uuid_generate_v1mc() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN gen_random_uuid();

CREATE FUNCTION @extschema@.uuid_nil() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '00000000-0000-0000-0000-000000000000'::uuid;
CREATE FUNCTION @extschema@.uuid_ns_dns() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION @extschema@.uuid_ns_url() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION @extschema@.uuid_ns_oid() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION @extschema@.uuid_ns_x500() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid;

-- RFC 9562: 16 bytes of a digest of the namespace and the name, with the version in byte 6 and the variant in byte 8.
CREATE FUNCTION @extschema@.uuid_generate_v3(namespace uuid, name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT encode(set_byte(set_byte(b, 6, get_byte(b, 6) & 15 | 48), 8, get_byte(b, 8) & 63 | 128), 'hex')::uuid
  FROM decode(md5(uuid_send(namespace) || convert_to(name, 'UTF8')), 'hex') AS b
$$;
CREATE FUNCTION @extschema@.uuid_generate_v5(namespace uuid, name text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT encode(set_byte(set_byte(b, 6, get_byte(b, 6) & 15 | 80), 8, get_byte(b, 8) & 63 | 128), 'hex')::uuid
  FROM substring(sha256(uuid_send(namespace) || convert_to(name, 'UTF8')) FROM 1 FOR 16) AS b
$$;
