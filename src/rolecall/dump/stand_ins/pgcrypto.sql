-- The extension pgcrypto, for servers without contrib: what schemas call most, on PostgreSQL's own digests.

CREATE FUNCTION @extschema@.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN pg_catalog.gen_random_uuid();

CREATE FUNCTION @extschema@.gen_random_bytes(count integer) RETURNS bytea
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT substring(string_agg(uuid_send(gen_random_uuid()), '') FROM 1 FOR count)
  FROM generate_series(0, count / 16)
$$;

CREATE FUNCTION @extschema@.digest(data bytea, type text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  CASE lower(type)
    WHEN 'md5' THEN RETURN decode(md5(data), 'hex');
    WHEN 'sha224' THEN RETURN sha224(data);
    WHEN 'sha256' THEN RETURN sha256(data);
    WHEN 'sha384' THEN RETURN sha384(data);
    WHEN 'sha512' THEN RETURN sha512(data);
    ELSE RAISE EXCEPTION 'the stand-in for pgcrypto has no digest "%"', type
      USING ERRCODE = '0A000', HINT = 'Use --rolecall-pg 17, which has pgcrypto.';
  END CASE;
END
$$;
CREATE FUNCTION @extschema@.digest(data text, type text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN @extschema@.digest(convert_to(data, 'UTF8'), type);

-- RFC 2104. A key that is longer than a block is replaced by its digest, a shorter one is padded with zeros.
CREATE FUNCTION @extschema@.hmac(data bytea, key bytea, type text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  size integer := CASE WHEN lower(type) IN ('sha384', 'sha512') THEN 128 ELSE 64 END;
  inner_key bytea;
  outer_key bytea;
BEGIN
  key := CASE WHEN length(key) > size THEN @extschema@.digest(key, type) ELSE key END;
  key := key || decode(repeat('00', size - length(key)), 'hex');
  inner_key := key;
  outer_key := key;
  FOR byte IN 0 .. size - 1 LOOP
    inner_key := set_byte(inner_key, byte, get_byte(key, byte) # 54);
    outer_key := set_byte(outer_key, byte, get_byte(key, byte) # 92);
  END LOOP;
  RETURN @extschema@.digest(outer_key || @extschema@.digest(inner_key || data, type), type);
END
$$;
CREATE FUNCTION @extschema@.hmac(data text, key text, type text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN @extschema@.hmac(convert_to(data, 'UTF8'), convert_to(key, 'UTF8'), type);

CREATE FUNCTION @extschema@.gen_salt(type text) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
  RAISE EXCEPTION 'the stand-in for pgcrypto has no gen_salt'
    USING ERRCODE = '0A000', HINT = 'Use --rolecall-pg 17, which has pgcrypto.';
END
$$;
CREATE FUNCTION @extschema@.gen_salt(type text, rounds integer) RETURNS text
LANGUAGE sql VOLATILE STRICT
  RETURN @extschema@.gen_salt(type);
CREATE FUNCTION @extschema@.crypt(password text, salt text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
BEGIN
  RAISE EXCEPTION 'the stand-in for pgcrypto has no crypt'
    USING ERRCODE = '0A000', HINT = 'Use --rolecall-pg 17, which has pgcrypto.';
END
$$;
