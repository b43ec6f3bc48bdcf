-- The first member of an organization cannot be added by an admin: there is none. So this function adds both.
CREATE FUNCTION public.create_organization(name text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  new_id uuid;
BEGIN
  INSERT INTO public.organizations (name) VALUES (create_organization.name) RETURNING id INTO new_id;
  INSERT INTO public.memberships VALUES (new_id, auth.uid(), 'admin');
  RETURN new_id;
END $$;

REVOKE EXECUTE ON FUNCTION public.create_organization FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.create_organization TO authenticated;
