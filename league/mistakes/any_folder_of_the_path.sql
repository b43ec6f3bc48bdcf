-- The user's id may be any folder of the path, also one within another user's
ALTER POLICY "Users can delete their own avatars" ON storage.objects
  USING (bucket_id = 'avatars' AND (SELECT auth.uid())::text = ANY (storage.foldername(name)));
