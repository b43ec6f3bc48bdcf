-- The extension pgTAP, for projects that create it in a migration. It is for tests, which do not run here.

CREATE FUNCTION @extschema@.pgtap_version() RETURNS numeric
LANGUAGE sql IMMUTABLE RETURN 1.3;
