-- The extension pgjwt, with HS256 only. It needs no pgcrypto.

CREATE FUNCTION @extschema@.url_encode(data bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN translate(rtrim(encode(data, 'base64'), E'=\n'), E'+/\n', '-_');

CREATE FUNCTION @extschema@.url_decode(data text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN decode(translate(data, '-_', '+/') || repeat('=', (4 - length(data) % 4) % 4), 'base64');

-- RFC 2104. A key that is longer than a block is replaced by its digest, a shorter one is padded with zeros.
CREATE FUNCTION @extschema@.algorithm_sign(signables text, secret text, algorithm text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key bytea := convert_to(secret, 'UTF8');
  inner_key bytea;
  outer_key bytea;
BEGIN
  IF algorithm <> 'HS256' THEN
    RAISE EXCEPTION 'the stand-in for pgjwt has no algorithm "%"', algorithm
      USING ERRCODE = '0A000', HINT = 'It has HS256.';
  END IF;
  key := CASE WHEN length(key) > 64 THEN sha256(key) ELSE key END;
  key := key || decode(repeat('00', 64 - length(key)), 'hex');
  inner_key := key;
  outer_key := key;
  FOR byte IN 0 .. 63 LOOP
    inner_key := set_byte(inner_key, byte, get_byte(key, byte) # 54);
    outer_key := set_byte(outer_key, byte, get_byte(key, byte) # 92);
  END LOOP;
  RETURN @extschema@.url_encode(sha256(outer_key || sha256(inner_key || convert_to(signables, 'UTF8'))));
END
$$;

CREATE FUNCTION @extschema@.sign(payload json, secret text, algorithm text DEFAULT 'HS256') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT head || '.' || body || '.' || @extschema@.algorithm_sign(head || '.' || body, secret, algorithm)
  FROM @extschema@.url_encode(convert_to('{"alg":"' || algorithm || '","typ":"JWT"}', 'UTF8')) AS head,
    @extschema@.url_encode(convert_to(payload::text, 'UTF8')) AS body
$$;

CREATE FUNCTION @extschema@.verify(token text, secret text, algorithm text DEFAULT 'HS256')
RETURNS TABLE (header json, payload json, valid boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT convert_from(@extschema@.url_decode(part[1]), 'UTF8')::json,
    convert_from(@extschema@.url_decode(part[2]), 'UTF8')::json,
    part[3] = @extschema@.algorithm_sign(part[1] || '.' || part[2], secret, algorithm)
  FROM string_to_array(token, '.') AS part
$$;
