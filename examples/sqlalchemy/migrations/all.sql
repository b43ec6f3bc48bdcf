BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE users (
    id SERIAL NOT NULL, 
    name TEXT NOT NULL, 
    PRIMARY KEY (id)
);

CREATE TABLE documents (
    id SERIAL NOT NULL, 
    owner_id INTEGER NOT NULL, 
    title TEXT NOT NULL, 
    PRIMARY KEY (id), 
    FOREIGN KEY(owner_id) REFERENCES users (id)
);

CREATE TABLE shares (
    document_id INTEGER NOT NULL, 
    user_id INTEGER NOT NULL, 
    PRIMARY KEY (document_id, user_id), 
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE, 
    FOREIGN KEY(user_id) REFERENCES users (id)
);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

-- Running upgrade 0001 -> 0002

CREATE FUNCTION current_user_id() RETURNS int LANGUAGE sql STABLE
    RETURN NULLIF(current_setting('app.user_id', true), '')::int;

ALTER TABLE documents ALTER owner_id SET DEFAULT current_user_id();

CREATE FUNCTION is_mine(document int) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    RETURN EXISTS (SELECT FROM public.documents AS d WHERE d.id = document AND d.owner_id = public.current_user_id());

ALTER TABLE users ENABLE ROW LEVEL SECURITY;

ALTER TABLE documents ENABLE ROW LEVEL SECURITY;

ALTER TABLE shares ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON users TO documents_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON documents TO documents_app;

GRANT USAGE ON SEQUENCE documents_id_seq TO documents_app;

GRANT SELECT, INSERT, DELETE ON shares TO documents_app;

CREATE POLICY everybody_signed_in ON users FOR SELECT USING (current_user_id() IS NOT NULL);

CREATE POLICY own_documents ON documents USING (owner_id = current_user_id());

CREATE POLICY shared_documents ON documents FOR SELECT
    USING (EXISTS (SELECT FROM shares AS s WHERE s.document_id = documents.id AND s.user_id = current_user_id()));

CREATE POLICY shares_of_own_documents ON shares USING (is_mine(document_id));

CREATE POLICY shared_with_me ON shares FOR SELECT USING (user_id = current_user_id());

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

COMMIT;

