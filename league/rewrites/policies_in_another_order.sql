-- The policies of a table are dropped, and created in another order
DROP POLICY "Customers can view their own favorites" ON engagement.customer_favorites;
DROP POLICY "Customers can add favorites" ON engagement.customer_favorites;
DROP POLICY "Anon cannot access favorites" ON engagement.customer_favorites;
CREATE POLICY "Anon cannot access favorites" ON engagement.customer_favorites
  AS RESTRICTIVE FOR ALL TO anon USING (false) WITH CHECK (false);
CREATE POLICY "Customers can add favorites" ON engagement.customer_favorites
  FOR INSERT TO authenticated WITH CHECK (customer_id = (SELECT auth.uid()));
CREATE POLICY "Customers can view their own favorites" ON engagement.customer_favorites
  FOR SELECT TO authenticated USING (customer_id = (SELECT auth.uid()));
