"""Who may do what. Alembic has no operations for it, so this is SQL."""

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = (
    # The application sets app.user_id at the beginning of each transaction. NULL: it did not.
    """
    CREATE FUNCTION current_user_id() RETURNS int LANGUAGE sql STABLE
    RETURN NULLIF(current_setting('app.user_id', true), '')::int
    """,
    "ALTER TABLE documents ALTER owner_id SET DEFAULT current_user_id()",
    # The policies of documents and shares read each other's table. Without a function that runs with the rights of its
    # owner, they would call each other without end.
    """
    CREATE FUNCTION is_mine(document int) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    RETURN EXISTS (SELECT FROM public.documents AS d WHERE d.id = document AND d.owner_id = public.current_user_id())
    """,
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE documents ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE shares ENABLE ROW LEVEL SECURITY",
    "GRANT SELECT ON users TO documents_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO documents_app",
    "GRANT USAGE ON SEQUENCE documents_id_seq TO documents_app",
    "GRANT SELECT, INSERT, DELETE ON shares TO documents_app",
    "CREATE POLICY everybody_signed_in ON users FOR SELECT USING (current_user_id() IS NOT NULL)",
    "CREATE POLICY own_documents ON documents USING (owner_id = current_user_id())",
    """
    CREATE POLICY shared_documents ON documents FOR SELECT
    USING (EXISTS (SELECT FROM shares AS s WHERE s.document_id = documents.id AND s.user_id = current_user_id()))
    """,
    "CREATE POLICY shares_of_own_documents ON shares USING (is_mine(document_id))",
    "CREATE POLICY shared_with_me ON shares FOR SELECT USING (user_id = current_user_id())",
)
DOWNGRADE = (
    "DROP POLICY everybody_signed_in ON users",
    "DROP POLICY own_documents ON documents",
    "DROP POLICY shared_documents ON documents",
    "DROP POLICY shares_of_own_documents ON shares",
    "DROP POLICY shared_with_me ON shares",
    "REVOKE ALL ON users, documents, shares FROM documents_app",
    "REVOKE ALL ON SEQUENCE documents_id_seq FROM documents_app",
    "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE documents DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE shares DISABLE ROW LEVEL SECURITY",
    "DROP FUNCTION is_mine",
    "ALTER TABLE documents ALTER owner_id DROP DEFAULT",
    "DROP FUNCTION current_user_id",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
