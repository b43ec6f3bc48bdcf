-- A customer also sees the favourites that they created for others
ALTER POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  USING (customer_id = (SELECT auth.uid()) OR created_by_id = (SELECT auth.uid()));
