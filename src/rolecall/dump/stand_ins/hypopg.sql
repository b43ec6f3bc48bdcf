-- The extension HypoPG: there are no hypothetical indexes.

CREATE FUNCTION @extschema@.hypopg_reset() RETURNS void
LANGUAGE sql AS '';
