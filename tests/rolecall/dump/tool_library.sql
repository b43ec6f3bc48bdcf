


SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;


CREATE EXTENSION IF NOT EXISTS "pg_cron" WITH SCHEMA "pg_catalog";






CREATE EXTENSION IF NOT EXISTS "pg_net" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "pgsodium";






CREATE SCHEMA IF NOT EXISTS "private";


ALTER SCHEMA "private" OWNER TO "postgres";


ALTER SCHEMA "public" OWNER TO "pg_database_owner";


COMMENT ON SCHEMA "public" IS 'standard public schema';



CREATE EXTENSION IF NOT EXISTS "moddatetime" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "pg_graphql" WITH SCHEMA "graphql";






CREATE EXTENSION IF NOT EXISTS "pg_stat_statements" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "pg_trgm" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "pgcrypto" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "pgjwt" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "plpgsql_check" WITH SCHEMA "extensions";



COMMENT ON EXTENSION "plpgsql_check" IS 'extended check for plpgsql functions';



CREATE EXTENSION IF NOT EXISTS "plv8" WITH SCHEMA "pg_catalog";






CREATE EXTENSION IF NOT EXISTS "supabase_vault" WITH SCHEMA "vault";






CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA "extensions";






CREATE EXTENSION IF NOT EXISTS "vector" WITH SCHEMA "extensions";






CREATE TYPE "public"."loan_status" AS ENUM (
    'asked',
    'lent',
    'returned'
);


ALTER TYPE "public"."loan_status" OWNER TO "postgres";


COMMENT ON TYPE "public"."loan_status" IS 'Where a loan is; "returned" is the end.';



CREATE DOMAIN "public"."house_number" AS "text"
	CONSTRAINT "house_number_check" CHECK ((VALUE ~ '^[0-9]+[a-z]?$'::"text"));


ALTER DOMAIN "public"."house_number" OWNER TO "postgres";


CREATE TYPE "public"."address" AS (
	"street" "text",
	"number" "public"."house_number"
);


ALTER TYPE "public"."address" OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "private"."is_keeper"() RETURNS boolean
    LANGUAGE "sql" STABLE SECURITY DEFINER
    SET "search_path" TO ''
    AS $$
  -- It's a question; "keepers" are few.
  SELECT EXISTS (SELECT FROM public.members WHERE id = (SELECT auth.uid()) AND keeper);
$$;


ALTER FUNCTION "private"."is_keeper"() OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "private"."remind_late_borrowers"() RETURNS "void"
    LANGUAGE "plpgsql" SECURITY DEFINER
    SET "search_path" TO ''
    AS $_$
DECLARE
  token text := (SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'mail token');
BEGIN
  PERFORM net.http_post(
    url := 'https://mail.example/send',
    headers := jsonb_build_object('Authorization', 'Bearer ' || token),
    body := jsonb_build_object('loans', (SELECT count(*) FROM public.loans WHERE status = 'lent'))
  );
  EXECUTE format($$SELECT 1 WHERE %L IS NOT NULL$$, token);
END
$_$;


ALTER FUNCTION "private"."remind_late_borrowers"() OWNER TO "supabase_admin";


CREATE OR REPLACE FUNCTION "private"."schedule_reminders"() RETURNS bigint
    LANGUAGE "sql"
    AS $$SELECT cron.schedule('reminders', '0 8 * * *', 'SELECT private.remind_late_borrowers()')$$;


ALTER FUNCTION "private"."schedule_reminders"() OWNER TO "team_ops";


CREATE OR REPLACE FUNCTION "public"."custom_access_token_hook"("event" "jsonb") RETURNS "jsonb"
    LANGUAGE "plpgsql" STABLE
    AS $$
BEGIN
  RETURN jsonb_set(event, '{claims,keeper}', to_jsonb((SELECT keeper FROM public.members
                                                       WHERE id = (event ->> 'user_id')::uuid)));
END
$$;


ALTER FUNCTION "public"."custom_access_token_hook"("event" "jsonb") OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "public"."handle_new_user"() RETURNS "trigger"
    LANGUAGE "plpgsql" SECURITY DEFINER
    SET "search_path" TO ''
    AS $$
BEGIN
  INSERT INTO public.members (id, name) VALUES (NEW.id, COALESCE(NEW.raw_user_meta_data ->> 'name', 'somebody'));
  RETURN NEW;
END
$$;


ALTER FUNCTION "public"."handle_new_user"() OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "public"."price_in_js"("cents" integer) RETURNS "text"
    LANGUAGE "plv8" IMMUTABLE
    AS $_$ return (cents / 100).toFixed(2); $_$;


ALTER FUNCTION "public"."price_in_js"("cents" integer) OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "public"."similar_tools"("to_tool" bigint, "most" integer DEFAULT 3) RETURNS SETOF bigint
    LANGUAGE "sql" STABLE
    SET "search_path" TO ''
    AS $$
  SELECT other.id
  FROM public.tools AS tool
  JOIN public.tools AS other ON other.id <> tool.id
  WHERE tool.id = to_tool
  ORDER BY other.embedding OPERATOR(extensions.<->) tool.embedding
  LIMIT most;
$$;


ALTER FUNCTION "public"."similar_tools"("to_tool" bigint, "most" integer) OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "public"."stop_self_lending"() RETURNS "trigger"
    LANGUAGE "plpgsql"
    AS $$
BEGIN
  IF NEW.borrower_id = (SELECT owner_id FROM public.tools WHERE id = NEW.tool_id) THEN
    RAISE EXCEPTION 'nobody borrows from oneself' USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END
$$;


ALTER FUNCTION "public"."stop_self_lending"() OWNER TO "postgres";


CREATE AGGREGATE "public"."longest"("text") (
    SFUNC = "pg_catalog"."text_larger",
    STYPE = "text"
);


ALTER AGGREGATE "public"."longest"("text") OWNER TO "postgres";

SET default_tablespace = '';

SET default_table_access_method = "heap";


CREATE TABLE IF NOT EXISTS "public"."members" (
    "id" "uuid" NOT NULL,
    "name" "text" NOT NULL,
    "keeper" boolean DEFAULT false NOT NULL,
    "home" "public"."address",
    "card" "text" DEFAULT "encode"("extensions"."gen_random_bytes"(8), 'hex'::"text") NOT NULL,
    "joined_on" "date" DEFAULT CURRENT_DATE NOT NULL,
    CONSTRAINT "name_is_short" CHECK (("length"("name") <= 80))
);

ALTER TABLE ONLY "public"."members" FORCE ROW LEVEL SECURITY;


ALTER TABLE "public"."members" OWNER TO "postgres";


COMMENT ON TABLE "public"."members" IS 'Who may borrow. It''s one row for each user of auth.';



COMMENT ON COLUMN "public"."members"."card" IS 'The number on the card; never shown to others.';



CREATE TABLE IF NOT EXISTS "public"."tools" (
    "id" bigint NOT NULL,
    "owner_id" "uuid" NOT NULL,
    "name" "text" NOT NULL,
    "price_cents" integer DEFAULT 0 NOT NULL,
    "price" numeric GENERATED ALWAYS AS ((("price_cents")::numeric / (100)::numeric)) STORED,
    "words" "tsvector" GENERATED ALWAYS AS ("to_tsvector"('"simple"'::"regconfig", "name")) STORED,
    "embedding" "extensions"."vector"(3),
    "deleted_at" timestamp with time zone,
    "updated_at" timestamp with time zone DEFAULT "now"() NOT NULL
);


ALTER TABLE "public"."tools" OWNER TO "postgres";


ALTER TABLE "public"."tools" ALTER COLUMN "id" ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME "public"."tools_id_seq"
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);



CREATE TABLE IF NOT EXISTS "public"."loans" (
    "id" "uuid" DEFAULT "extensions"."uuid_generate_v4"() NOT NULL,
    "tool_id" bigint NOT NULL,
    "borrower_id" "uuid" DEFAULT "auth"."uid"() NOT NULL,
    "status" "public"."loan_status" DEFAULT 'asked'::"public"."loan_status" NOT NULL,
    "asked_at" timestamp with time zone DEFAULT "now"() NOT NULL
);


ALTER TABLE "public"."loans" OWNER TO "postgres";


CREATE TABLE IF NOT EXISTS "public"."visits" (
    "member_id" "uuid" NOT NULL,
    "day" "date" NOT NULL
)
PARTITION BY RANGE ("day");


ALTER TABLE "public"."visits" OWNER TO "postgres";


CREATE TABLE IF NOT EXISTS "public"."visits_2025" (
    "member_id" "uuid" NOT NULL,
    "day" "date" NOT NULL
);


ALTER TABLE "public"."visits_2025" OWNER TO "postgres";


CREATE TABLE IF NOT EXISTS "public"."visits_other" (
    "member_id" "uuid" NOT NULL,
    "day" "date" NOT NULL
);


ALTER TABLE "public"."visits_other" OWNER TO "postgres";


CREATE TABLE IF NOT EXISTS "private"."settings" (
    "number" integer NOT NULL,
    "name" "text" NOT NULL,
    "secret_id" "uuid"
);


ALTER TABLE "private"."settings" OWNER TO "postgres";


CREATE SEQUENCE IF NOT EXISTS "private"."settings_number_seq"
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER SEQUENCE "private"."settings_number_seq" OWNER TO "postgres";


ALTER SEQUENCE "private"."settings_number_seq" OWNED BY "private"."settings"."number";



CREATE OR REPLACE VIEW "public"."open_loans" WITH ("security_invoker"='true') AS
 SELECT "l"."id",
    "t"."name" AS "tool",
    "l"."borrower_id"
   FROM ("public"."loans" "l"
     JOIN "public"."tools" "t" ON (("t"."id" = "l"."tool_id")))
  WHERE ("l"."status" <> 'returned'::"public"."loan_status");


ALTER VIEW "public"."open_loans" OWNER TO "postgres";


CREATE MATERIALIZED VIEW "public"."visits_by_day" AS
 SELECT "day",
    "count"(*) AS "visits"
   FROM "public"."visits"
  GROUP BY "day"
  WITH NO DATA;


ALTER MATERIALIZED VIEW "public"."visits_by_day" OWNER TO "postgres";


CREATE OR REPLACE FUNCTION "public"."tool_count"("of_owner" "uuid") RETURNS bigint
    LANGUAGE "sql" STABLE
    BEGIN ATOMIC
 SELECT "count"(*) AS "count"
    FROM "public"."tools"
   WHERE ("tools"."owner_id" = "tool_count"."of_owner");
END;


ALTER FUNCTION "public"."tool_count"("of_owner" "uuid") OWNER TO "postgres";


ALTER TABLE ONLY "public"."visits" ATTACH PARTITION "public"."visits_2025" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');



ALTER TABLE ONLY "public"."visits" ATTACH PARTITION "public"."visits_other" DEFAULT;



ALTER TABLE ONLY "private"."settings" ALTER COLUMN "number" SET DEFAULT "nextval"('"private"."settings_number_seq"'::"regclass");



ALTER TABLE ONLY "private"."settings"
    ADD CONSTRAINT "settings_pkey" PRIMARY KEY ("number");



ALTER TABLE ONLY "public"."loans"
    ADD CONSTRAINT "loans_pkey" PRIMARY KEY ("id");



ALTER TABLE ONLY "public"."members"
    ADD CONSTRAINT "members_card_key" UNIQUE ("card");



ALTER TABLE ONLY "public"."members"
    ADD CONSTRAINT "members_pkey" PRIMARY KEY ("id");



ALTER TABLE ONLY "public"."tools"
    ADD CONSTRAINT "tools_pkey" PRIMARY KEY ("id");



ALTER TABLE ONLY "public"."visits"
    ADD CONSTRAINT "visits_pkey" PRIMARY KEY ("member_id", "day");



ALTER TABLE ONLY "public"."visits_2025"
    ADD CONSTRAINT "visits_2025_pkey" PRIMARY KEY ("member_id", "day");



ALTER TABLE ONLY "public"."visits_other"
    ADD CONSTRAINT "visits_other_pkey" PRIMARY KEY ("member_id", "day");



CREATE UNIQUE INDEX "one_open_loan" ON "public"."loans" USING "btree" ("tool_id") WHERE ("status" <> 'returned'::"public"."loan_status");



CREATE INDEX "tools_embedding_idx" ON "public"."tools" USING "hnsw" ("embedding" "extensions"."vector_cosine_ops");



CREATE INDEX "tools_name_trgm_idx" ON "public"."tools" USING "gin" ("name" "extensions"."gin_trgm_ops");



CREATE INDEX "tools_words_idx" ON "public"."tools" USING "gin" ("words");



CREATE STATISTICS "public"."loans_of_members" (dependencies) ON "borrower_id", "status" FROM "public"."loans";


ALTER STATISTICS "public"."loans_of_members" OWNER TO "postgres";


ALTER INDEX "public"."visits_pkey" ATTACH PARTITION "public"."visits_2025_pkey";



ALTER INDEX "public"."visits_pkey" ATTACH PARTITION "public"."visits_other_pkey";



CREATE OR REPLACE TRIGGER "on_auth_user_created" AFTER INSERT ON "auth"."users" FOR EACH ROW EXECUTE FUNCTION "public"."handle_new_user"();



CREATE OR REPLACE TRIGGER "loans_webhook" AFTER INSERT ON "public"."loans" FOR EACH ROW EXECUTE FUNCTION "supabase_functions"."http_request"('https://hooks.example/loans', 'POST', '{"Content-type":"application/json"}', '{}', '1000');



CREATE OR REPLACE TRIGGER "stop_self_lending" BEFORE INSERT OR UPDATE ON "public"."loans" FOR EACH ROW EXECUTE FUNCTION "public"."stop_self_lending"();



CREATE OR REPLACE TRIGGER "tools_updated_at" BEFORE UPDATE ON "public"."tools" FOR EACH ROW EXECUTE FUNCTION "extensions"."moddatetime"('updated_at');



ALTER TABLE ONLY "private"."settings"
    ADD CONSTRAINT "settings_secret_id_fkey" FOREIGN KEY ("secret_id") REFERENCES "vault"."secrets"("id");



ALTER TABLE ONLY "public"."loans"
    ADD CONSTRAINT "loans_borrower_id_fkey" FOREIGN KEY ("borrower_id") REFERENCES "public"."members"("id") ON DELETE CASCADE;



ALTER TABLE ONLY "public"."loans"
    ADD CONSTRAINT "loans_tool_id_fkey" FOREIGN KEY ("tool_id") REFERENCES "public"."tools"("id") ON UPDATE CASCADE;



ALTER TABLE ONLY "public"."members"
    ADD CONSTRAINT "members_id_fkey" FOREIGN KEY ("id") REFERENCES "auth"."users"("id") ON DELETE CASCADE;



ALTER TABLE ONLY "public"."tools"
    ADD CONSTRAINT "tools_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "public"."members"("id");



ALTER TABLE "public"."visits"
    ADD CONSTRAINT "visits_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "public"."members"("id");



CREATE POLICY "Auth reads who is a keeper" ON "public"."members" FOR SELECT TO "supabase_auth_admin" USING (true);



CREATE POLICY "Borrowers and owners see loans" ON "public"."loans" FOR SELECT TO "authenticated" USING ((("borrower_id" = ( SELECT "auth"."uid"() AS "uid")) OR (EXISTS ( SELECT 1
   FROM "public"."tools"
  WHERE (("tools"."id" = "loans"."tool_id") AND ("tools"."owner_id" = ( SELECT "auth"."uid"() AS "uid")))))));



CREATE POLICY "Members borrow for themselves" ON "public"."loans" FOR INSERT TO "authenticated" WITH CHECK (("borrower_id" = ( SELECT "auth"."uid"() AS "uid")));



CREATE POLICY "Members see themselves, keepers all" ON "public"."members" FOR SELECT TO "authenticated" USING ((("id" = ( SELECT "auth"."uid"() AS "uid")) OR "private"."is_keeper"()));



CREATE POLICY "Only with a second factor" ON "public"."members" AS RESTRICTIVE FOR UPDATE TO "authenticated" USING ((NOT (EXISTS ( SELECT 1
   FROM "auth"."mfa_factors"
  WHERE (("mfa_factors"."user_id" = "auth"."uid"()) AND ("mfa_factors"."status" = 'verified'::"text"))))));



CREATE POLICY "Owners change their tools" ON "public"."tools" TO "authenticated" USING (("owner_id" = ( SELECT "auth"."uid"() AS "uid")));



CREATE POLICY "Tools are public" ON "public"."tools" FOR SELECT USING (("deleted_at" IS NULL));



ALTER TABLE "public"."loans" ENABLE ROW LEVEL SECURITY;


ALTER TABLE "public"."members" ENABLE ROW LEVEL SECURITY;


ALTER TABLE "public"."tools" ENABLE ROW LEVEL SECURITY;


ALTER TABLE "public"."visits" ENABLE ROW LEVEL SECURITY;


CREATE POLICY "Owners upload photos" ON "storage"."objects" FOR INSERT TO "authenticated" WITH CHECK ((("bucket_id" = 'photos'::"text") AND ("storage"."extension"("name") = 'png'::"text") AND (("storage"."foldername"("name"))[1] = (( SELECT "auth"."uid"() AS "uid"))::"text")));



CREATE POLICY "Members listen to their own topic" ON "realtime"."messages" FOR SELECT TO "authenticated" USING (("realtime"."topic"() = (( SELECT "auth"."uid"() AS "uid"))::"text"));





ALTER PUBLICATION "supabase_realtime" OWNER TO "postgres";






ALTER PUBLICATION "supabase_realtime" ADD TABLE ONLY "public"."loans";



GRANT USAGE ON SCHEMA "private" TO "team_ops";



GRANT USAGE ON SCHEMA "public" TO "postgres";
GRANT USAGE ON SCHEMA "public" TO "anon";
GRANT USAGE ON SCHEMA "public" TO "authenticated";
GRANT USAGE ON SCHEMA "public" TO "service_role";
GRANT USAGE ON SCHEMA "public" TO "supabase_auth_admin";





REVOKE ALL ON FUNCTION "public"."custom_access_token_hook"("event" "jsonb") FROM PUBLIC;
GRANT ALL ON FUNCTION "public"."custom_access_token_hook"("event" "jsonb") TO "service_role";
GRANT ALL ON FUNCTION "public"."custom_access_token_hook"("event" "jsonb") TO "supabase_auth_admin";



GRANT ALL ON FUNCTION "public"."price_in_js"("cents" integer) TO "anon";
GRANT ALL ON FUNCTION "public"."price_in_js"("cents" integer) TO "authenticated";
GRANT ALL ON FUNCTION "public"."price_in_js"("cents" integer) TO "service_role";



GRANT ALL ON TABLE "public"."loans" TO "authenticated";
GRANT ALL ON TABLE "public"."loans" TO "service_role";
GRANT SELECT ON TABLE "public"."loans" TO "dashboard_user";



GRANT SELECT,INSERT,REFERENCES,TRIGGER,TRUNCATE,MAINTAIN,UPDATE ON TABLE "public"."members" TO "authenticated";
GRANT ALL ON TABLE "public"."members" TO "service_role";
GRANT SELECT ON TABLE "public"."members" TO "supabase_auth_admin";



GRANT SELECT("id"),SELECT("name"),SELECT("price"),SELECT("deleted_at") ON TABLE "public"."tools" TO "anon";
GRANT ALL ON TABLE "public"."tools" TO "authenticated";
GRANT ALL ON TABLE "public"."tools" TO "service_role";
GRANT SELECT ON TABLE "public"."tools" TO "team_ops";



GRANT ALL ON SEQUENCE "public"."tools_id_seq" TO "authenticated";
GRANT ALL ON SEQUENCE "public"."tools_id_seq" TO "service_role";



GRANT ALL ON TABLE "public"."open_loans" TO "authenticated";



ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT ALL ON FUNCTIONS TO "service_role";






ALTER DEFAULT PRIVILEGES FOR ROLE "supabase_admin" IN SCHEMA "public" GRANT ALL ON TABLES TO "service_role";






RESET ALL;
