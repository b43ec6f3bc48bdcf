-- What the administrator of the server makes once, before the migrations.
CREATE ROLE documents_app NOLOGIN;
