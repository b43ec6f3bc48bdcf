-- A WITH CHECK that says the same as USING is left out
DROP POLICY "Customers can update their own favorites" ON engagement.customer_favorites;
CREATE POLICY "Customers can update their own favorites" ON engagement.customer_favorites
  FOR UPDATE TO authenticated USING (customer_id = (SELECT auth.uid()));
