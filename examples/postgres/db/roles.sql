-- What the administrator of the server makes once, before the migrations.
CREATE ROLE billing_app NOLOGIN;
CREATE ROLE billing_auditor NOLOGIN;
