-- The extension moddatetime, for servers without contrib: the trigger sets the column that it names to the time.

CREATE FUNCTION @extschema@.moddatetime() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], now()));
END
$$;
