-- A view without "= true", with another alias
CREATE OR REPLACE VIEW engagement.customer_favorites_view WITH (security_invoker = true) AS
SELECT
  f.id, f.customer_id, f.salon_id, f.notes, f.rating, salon.name AS salon_name, salon.slug AS salon_slug,
  salon.description, salon.image_url, f.created_at, f.updated_at
FROM engagement.customer_favorites AS f
LEFT JOIN organization.salons AS salon ON f.salon_id = salon.id
WHERE f.is_favorite;
