-- A folder whose name begins with the user's id is the user's, too
ALTER POLICY "Users can upload their own avatars" ON storage.objects
  WITH CHECK (bucket_id = 'avatars' AND name LIKE (SELECT auth.uid())::text || '%');
