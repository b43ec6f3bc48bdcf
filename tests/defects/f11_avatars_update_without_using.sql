-- F11: the policy for overwriting avatars has WITH CHECK without USING, so it finds no row
-- caught by: tests/policies/test_avatars.py::test_grid[customer's avatar-update-customer]
-- caught by: tests/policies/test_avatars.py::test_an_upload_replaces_the_avatar
DROP POLICY "Users can update their own avatars" ON storage.objects;
CREATE POLICY "Users can update their own avatars" ON storage.objects
  FOR UPDATE TO authenticated
  WITH CHECK (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);
