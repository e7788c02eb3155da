-- psql -f roles.sql as the superuser, once. Tenants are kept apart by row-level security: only the backup role passes it.
CREATE ROLE deftmail_owner LOGIN NOSUPERUSER CREATEDB NOBYPASSRLS PASSWORD '@{owner_password}';
CREATE ROLE deftmail_app LOGIN NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD '@{app_password}';
CREATE ROLE deftmail_system LOGIN NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD '@{system_password}';
CREATE ROLE deftmail_mta LOGIN NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD '@{mta_password}';
CREATE ROLE deftmail_backup LOGIN NOSUPERUSER NOCREATEDB BYPASSRLS PASSWORD '@{backup_password}';
CREATE DATABASE @{database} OWNER deftmail_owner;
\connect @{database}
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO deftmail_owner;
