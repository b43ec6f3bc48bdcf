INSERT INTO storage.buckets (id, name, public) VALUES ('reports', 'reports', false);

-- A file is named <id of the organization>/<name>. The ids are compared as text, because a name may be anything, and a
-- cast to uuid would fail.
CREATE POLICY "members download reports" ON storage.objects
  FOR SELECT TO authenticated USING (
    bucket_id = 'reports'
    AND EXISTS (
      SELECT FROM public.organizations AS o
      WHERE o.id::text = (storage.foldername(objects.name))[1] AND private.my_role(o.id) IS NOT NULL
    )
  );
CREATE POLICY "admins upload reports" ON storage.objects
  FOR INSERT TO authenticated WITH CHECK (
    bucket_id = 'reports'
    AND EXISTS (
      SELECT FROM public.organizations AS o
      WHERE o.id::text = (storage.foldername(objects.name))[1] AND private.my_role(o.id) = 'admin'
    )
  );
