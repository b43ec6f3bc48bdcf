-- Files of every bucket whose name begins with "avatars" are shown
ALTER POLICY "Authenticated users can view avatars" ON storage.objects
  USING (bucket_id LIKE 'avatars%' AND (SELECT auth.uid()) IS NOT NULL);
