#!/bin/sh
# Roles and databases, once, when the data folder is empty. Tenants are kept apart by row-level security: only the
# backup role passes it. Passwords: the secret `database_roles`, lines of NAME=password (letters and digits).
set -eu
. /run/secrets/database_roles

psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres \
    -v owner="$OWNER" -v app="$APP" -v system="$SYSTEM" -v mta="$MTA" -v backup="$BACKUP" -v stalwart="$STALWART" <<'SQL'
CREATE ROLE deftmail_owner LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION CREATEDB NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE deftmail_app LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB NOBYPASSRLS PASSWORD :'app';
CREATE ROLE deftmail_system LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB NOBYPASSRLS PASSWORD :'system';
CREATE ROLE deftmail_mta LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB NOBYPASSRLS PASSWORD :'mta';
CREATE ROLE deftmail_backup LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB BYPASSRLS PASSWORD :'backup';
CREATE ROLE stalwart LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOCREATEDB NOBYPASSRLS PASSWORD :'stalwart';
CREATE DATABASE deftmail OWNER deftmail_owner;
CREATE DATABASE stalwart OWNER stalwart;
REVOKE CONNECT ON DATABASE deftmail FROM PUBLIC;
GRANT CONNECT ON DATABASE deftmail TO deftmail_app, deftmail_system, deftmail_mta, deftmail_backup;
REVOKE CONNECT ON DATABASE stalwart FROM PUBLIC;
\connect deftmail
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
ALTER SCHEMA public OWNER TO deftmail_owner;
SQL
