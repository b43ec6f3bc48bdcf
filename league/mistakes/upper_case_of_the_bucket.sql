-- A bucket named "Avatars" counts as "avatars"
ALTER POLICY "Users can upload their own avatars" ON storage.objects
  WITH CHECK (lower(bucket_id) = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);
