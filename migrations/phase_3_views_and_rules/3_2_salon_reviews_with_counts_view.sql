-- 3.2: salon_reviews_with_counts_view shows reviews with the statistics of their salon.

-- Fail soon, instead of waiting behind a long transaction and blocking the application.
SET LOCAL lock_timeout = '5s';

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
  count(*) OVER salon AS total_reviews,
  (avg(sr.rating::integer) OVER salon)::numeric(3, 2) AS average_rating,
  count(*) FILTER (WHERE sr.rating = 5) OVER salon AS five_star_count,
  count(*) FILTER (WHERE sr.rating = 4) OVER salon AS four_star_count,
  count(*) FILTER (WHERE sr.rating = 3) OVER salon AS three_star_count,
  count(*) FILTER (WHERE sr.rating = 2) OVER salon AS two_star_count,
  count(*) FILTER (WHERE sr.rating = 1) OVER salon AS one_star_count
FROM engagement.salon_reviews sr
WINDOW salon AS (PARTITION BY sr.salon_id);

COMMENT ON VIEW engagement.salon_reviews_with_counts_view IS
  'Reviews, each with its salon''s number of reviews, average rating and reviews per star.';

REVOKE ALL ON engagement.salon_reviews_with_counts_view FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON engagement.salon_reviews_with_counts_view TO authenticated, service_role;
