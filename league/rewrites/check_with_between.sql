-- BETWEEN in place of two comparisons
ALTER TABLE engagement.customer_favorites
  DROP CONSTRAINT customer_favorites_rating_check,
  ADD CONSTRAINT customer_favorites_rating_check CHECK (rating BETWEEN 1 AND 5);
