-- A customer does not see a favourite without notes
ALTER POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  USING (customer_id = (SELECT auth.uid()) AND notes IS NOT NULL);
