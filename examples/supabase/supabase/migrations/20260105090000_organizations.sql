CREATE TABLE public.organizations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL CONSTRAINT organizations_have_a_name CHECK (name <> '')
);

CREATE TABLE public.memberships (
  organization_id uuid REFERENCES public.organizations ON DELETE CASCADE,
  user_id uuid REFERENCES auth.users ON DELETE CASCADE,
  role text NOT NULL CONSTRAINT roles_are_known CHECK (role IN ('admin', 'member')),
  PRIMARY KEY (organization_id, user_id)
);

ALTER TABLE public.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.memberships ENABLE ROW LEVEL SECURITY;

GRANT SELECT, UPDATE (name) ON public.organizations TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.memberships TO authenticated;

-- The API does not show this schema.
CREATE SCHEMA private;
GRANT USAGE ON SCHEMA private TO authenticated;

-- A policy of memberships cannot read memberships: it would call itself. This function runs with the rights of its
-- owner, to whom the policies do not apply.
CREATE FUNCTION private.my_role(organization uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
RETURN (SELECT m.role FROM public.memberships AS m WHERE m.organization_id = organization AND m.user_id = auth.uid());

REVOKE EXECUTE ON FUNCTION private.my_role FROM PUBLIC;
GRANT EXECUTE ON FUNCTION private.my_role TO authenticated;

CREATE POLICY "members see their organization" ON public.organizations
  FOR SELECT TO authenticated USING (private.my_role(id) IS NOT NULL);
CREATE POLICY "admins rename their organization" ON public.organizations
  FOR UPDATE TO authenticated USING (private.my_role(id) = 'admin');

CREATE POLICY "members see each other" ON public.memberships
  FOR SELECT TO authenticated USING (private.my_role(organization_id) IS NOT NULL);
CREATE POLICY "admins add members" ON public.memberships
  FOR INSERT TO authenticated WITH CHECK (private.my_role(organization_id) = 'admin');
CREATE POLICY "admins change roles" ON public.memberships
  FOR UPDATE TO authenticated USING (private.my_role(organization_id) = 'admin');
CREATE POLICY "admins remove members, and members leave" ON public.memberships
  FOR DELETE TO authenticated USING (private.my_role(organization_id) = 'admin' OR user_id = auth.uid());
