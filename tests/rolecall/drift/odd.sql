-- Names that need quotes, and one of each kind of object. The schema exists already.
SET LOCAL search_path = "Odd Schema", pg_catalog;
CREATE TYPE "Mood Type" AS ENUM ('a', 'it''s');
CREATE DOMAIN posint AS int CHECK (VALUE > 0) DEFAULT 3;
CREATE TYPE pair AS (a int, "B b" text);
CREATE TABLE "User" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Full Name" varchar(20) COLLATE "C" NOT NULL DEFAULT 'x',
  m "Mood Type", d posint, n numeric(10,2) CHECK (n BETWEEN 0 AND 10), t timestamptz DEFAULT CURRENT_TIMESTAMP, tags text[] DEFAULT ARRAY[]::text[],
  up text GENERATED ALWAYS AS (upper("Full Name")) STORED, j jsonb DEFAULT '{"a": 1}', iv interval DEFAULT '1 day 02:00', s serial,
  UNIQUE NULLS NOT DISTINCT (m, d), EXCLUDE USING btree (d WITH =) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "Order" (id int, "User" bigint REFERENCES "User" (id) ON DELETE SET NULL, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE "Order 2026" PARTITION OF "Order" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX "odd ix" ON "User" USING btree (lower("Full Name") text_pattern_ops DESC NULLS LAST) INCLUDE (n) WHERE m = 'a';
CREATE VIEW "My View" WITH (security_invoker, check_option=local) AS SELECT id, "Full Name" FROM "User" u WHERE id > 3;
CREATE VIEW v2 AS WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT r.n, u.id, row_number() OVER (PARTITION BY u.m ORDER BY u.id) rn FROM r JOIN "User" u ON u.id = r.n;
CREATE VIEW v3 AS SELECT m, count(*) c, sum(n) FILTER (WHERE d > 1), grouping(m) FROM "User" GROUP BY ROLLUP (m) HAVING count(*) > 1 ORDER BY 1 LIMIT 3;
CREATE VIEW v4 AS SELECT x.*, CASE WHEN x.id IN (SELECT id FROM "User") THEN EXTRACT(year FROM now()) ELSE substring('abc' from 2 for 1)::int END FROM (VALUES (1,'a'),(2,'b')) AS x (id, name), LATERAL (SELECT 1) l, generate_series(1,3) WITH ORDINALITY g(a,b);
CREATE VIEW v5 AS SELECT DISTINCT ON (id) id, t AT TIME ZONE 'UTC' AS tz, trim(both ' ' from "Full Name") f, overlay('a' placing 'b' from 1) a1, position('a' in 'b') a2, "Full Name" ~~ 'a%' AS l, "Full Name" SIMILAR TO 'a' a3, d::text || 'x' a4, (j->>'a')::int a5, j @> '{}' a6, id = ANY (ARRAY[1,2]) a7, id IS DISTINCT FROM 3 a8, (1,2) < (id, d) a9 FROM "User" ORDER BY id, t;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM "User" UNION SELECT id FROM "Order" EXCEPT SELECT 3;
CREATE VIEW v6 AS SELECT id FROM "User" FOR UPDATE;
CREATE VIEW v7 AS SELECT id, (SELECT max(o.at) FROM "Order" o WHERE o."User" = "User".id) FROM "User" WHERE EXISTS (SELECT 1 FROM "Order" WHERE "Order"."User" = "User".id);
CREATE VIEW v8 AS SELECT json_agg(u) FROM "User" u GROUP BY m;
CREATE RULE eat AS ON INSERT TO v2 DO INSTEAD NOTHING;
CREATE RULE up AS ON UPDATE TO v7 DO INSTEAD UPDATE "User" SET n = 1 WHERE id = OLD.id;
ALTER TABLE "User" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "it's ""mine""" ON "User" AS RESTRICTIVE FOR ALL TO PUBLIC USING (id IN (SELECT "User" FROM "Order" o WHERE o.id = "User".id AND current_setting('a.b', true) = ANY (string_to_array("Full Name", ','))) ) WITH CHECK (CURRENT_USER = "Full Name"::name);
CREATE FUNCTION "My Fn"(a int DEFAULT 3, VARIADIC b text[] DEFAULT '{}', OUT c "User") LANGUAGE sql STABLE PARALLEL SAFE SET search_path = '' BEGIN ATOMIC SELECT u FROM "Odd Schema"."User" u WHERE u.id = a; END;
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION r2() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM "User" WHERE id > 1);
CREATE PROCEDURE pr(INOUT x int) LANGUAGE plpgsql AS $$BEGIN x := x + 1; END$$;
CREATE AGGREGATE agg(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE TRIGGER "tr 1" AFTER UPDATE OF n, "Full Name" ON "User" FOR EACH STATEMENT EXECUTE FUNCTION tf('a', 'b');
CREATE CONSTRAINT TRIGGER "tr 2" AFTER INSERT ON "User" DEFERRABLE FOR EACH ROW WHEN (NEW.n > 3) EXECUTE FUNCTION tf();
GRANT ALL ON ALL TABLES IN SCHEMA "Odd Schema" TO toy_member WITH GRANT OPTION;
GRANT SELECT ("Full Name"), UPDATE (n) ON "User" TO PUBLIC;
CREATE PUBLICATION "p 1" FOR TABLE "User" WHERE (id > 3);
ALTER DEFAULT PRIVILEGES IN SCHEMA "Odd Schema" GRANT ALL ON TABLES TO toy_visitor;
