-- F02: the average is cast before its OVER clause, which is a syntax error
-- caught by: tests/migrations/test_apply.py::test_the_search_path_does_not_matter
-- instead of: migrations/phase_3_views_and_rules/3_2_salon_reviews_with_counts_view.sql
CREATE OR REPLACE VIEW engagement.salon_reviews_with_counts_view WITH (security_invoker = true) AS
SELECT
  sr.id,
  sr.salon_id,
  sr.customer_id,
  sr.rating,
  sr.content,
  sr.status,
  sr.created_at,
  sr.updated_at,
  count(*) OVER (PARTITION BY sr.salon_id) AS total_reviews,
  avg(sr.rating::integer)::numeric(3, 2) OVER (PARTITION BY sr.salon_id) AS average_rating,
  count(*) FILTER (WHERE sr.rating = 5) OVER (PARTITION BY sr.salon_id) AS five_star_count,
  count(*) FILTER (WHERE sr.rating = 4) OVER (PARTITION BY sr.salon_id) AS four_star_count,
  count(*) FILTER (WHERE sr.rating = 3) OVER (PARTITION BY sr.salon_id) AS three_star_count,
  count(*) FILTER (WHERE sr.rating = 2) OVER (PARTITION BY sr.salon_id) AS two_star_count,
  count(*) FILTER (WHERE sr.rating = 1) OVER (PARTITION BY sr.salon_id) AS one_star_count
FROM engagement.salon_reviews sr;
