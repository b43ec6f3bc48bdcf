-- Functions of Supabase's Storage that policies call.

CREATE FUNCTION storage.filename(name text) RETURNS text
LANGUAGE sql IMMUTABLE
  RETURN (string_to_array(name, '/'))[cardinality(string_to_array(name, '/'))];
CREATE FUNCTION storage.extension(name text) RETURNS text
LANGUAGE sql IMMUTABLE
  RETURN reverse(split_part(reverse(storage.filename(name)), '.', 1));
