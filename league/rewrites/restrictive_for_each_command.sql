-- A restrictive policy for all commands becomes one for each
DROP POLICY "Anon cannot access threads" ON communication.message_threads;
CREATE POLICY "Anon cannot read threads" ON communication.message_threads
  AS RESTRICTIVE FOR SELECT TO anon USING (false);
CREATE POLICY "Anon cannot create threads" ON communication.message_threads
  AS RESTRICTIVE FOR INSERT TO anon WITH CHECK (false);
CREATE POLICY "Anon cannot update threads" ON communication.message_threads
  AS RESTRICTIVE FOR UPDATE TO anon USING (false) WITH CHECK (false);
CREATE POLICY "Anon cannot delete threads" ON communication.message_threads
  AS RESTRICTIVE FOR DELETE TO anon USING (false);
