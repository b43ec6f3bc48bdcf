-- Deleting a favourite with a rating does nothing
CREATE RULE keep_rated AS ON DELETE TO engagement.customer_favorites WHERE OLD.rating = 5 DO INSTEAD NOTHING;
