-- The extension vector (pgvector): its type keeps the text, and the distances are computed from it. There are no indexes.
-- The dimensions of vector(3) are kept and not checked.

CREATE TYPE @extschema@.vector;
CREATE FUNCTION @extschema@.vector_in(cstring) RETURNS @extschema@.vector
  LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textin';
CREATE FUNCTION @extschema@.vector_out(@extschema@.vector) RETURNS cstring
  LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
CREATE TYPE @extschema@.vector (
  INPUT = @extschema@.vector_in,
  OUTPUT = @extschema@.vector_out,
  TYPMOD_IN = varchartypmodin,
  TYPMOD_OUT = varchartypmodout,
  LIKE = text,
  STORAGE = extended
);
CREATE CAST (@extschema@.vector AS text) WITH INOUT;
CREATE CAST (text AS @extschema@.vector) WITH INOUT;

CREATE FUNCTION @extschema@.vector_elements(v @extschema@.vector) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN translate(v::text, '[]', '{}')::float8[];
CREATE FUNCTION @extschema@.vector_dims(v @extschema@.vector) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN cardinality(@extschema@.vector_elements(v));
CREATE FUNCTION @extschema@.inner_product(a @extschema@.vector, b @extschema@.vector) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sum(x * y) FROM unnest(@extschema@.vector_elements(a), @extschema@.vector_elements(b)) AS pair (x, y) $$;
CREATE FUNCTION @extschema@.vector_norm(v @extschema@.vector) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN sqrt(@extschema@.inner_product(v, v));
CREATE FUNCTION @extschema@.l2_distance(a @extschema@.vector, b @extschema@.vector) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sqrt(sum((x - y) ^ 2)) FROM unnest(@extschema@.vector_elements(a), @extschema@.vector_elements(b)) AS pair (x, y) $$;
CREATE FUNCTION @extschema@.vector_negative_inner_product(a @extschema@.vector, b @extschema@.vector) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN -@extschema@.inner_product(a, b);
CREATE FUNCTION @extschema@.cosine_distance(a @extschema@.vector, b @extschema@.vector) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN 1 - @extschema@.inner_product(a, b) / (@extschema@.vector_norm(a) * @extschema@.vector_norm(b));

CREATE OPERATOR @extschema@.<-> (
  LEFTARG = @extschema@.vector, RIGHTARG = @extschema@.vector, FUNCTION = @extschema@.l2_distance
);
CREATE OPERATOR @extschema@.<#> (
  LEFTARG = @extschema@.vector, RIGHTARG = @extschema@.vector, FUNCTION = @extschema@.vector_negative_inner_product
);
CREATE OPERATOR @extschema@.<=> (
  LEFTARG = @extschema@.vector, RIGHTARG = @extschema@.vector, FUNCTION = @extschema@.cosine_distance
);
