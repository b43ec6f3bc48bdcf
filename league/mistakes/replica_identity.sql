-- A published table without an identity: updates and deletes of favourites would fail once it is published
ALTER TABLE engagement.customer_favorites REPLICA IDENTITY NOTHING;
