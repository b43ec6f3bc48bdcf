-- The sides of each comparison are swapped
ALTER POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  USING ((SELECT auth.uid()) = customer_id);
ALTER POLICY "Customers can remove their own favorites" ON engagement.customer_favorites
  USING ((SELECT auth.uid()) = customer_id);
