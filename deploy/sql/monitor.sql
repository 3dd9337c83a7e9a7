-- The role that the operator reads a Postgres server with, and the one setting that keeps connection counts honest.
-- Run it once as a superuser, on any database of the server; running it again changes nothing but the password:
--
--   psql -v monitor_password=... -v application_role=shop -f monitor.sql
--
-- application_role: the role that the application logs in as. What is not given by -v is taken from the environment:
-- POOLBUDGET_MONITOR_PASSWORD and POOLBUDGET_APPLICATION_ROLE (psql 15 or newer).

\set ON_ERROR_STOP on
\if :{?monitor_password}
\else
  \getenv monitor_password POOLBUDGET_MONITOR_PASSWORD
\endif
\if :{?application_role}
\else
  \getenv application_role POOLBUDGET_APPLICATION_ROLE
\endif

BEGIN;
SET LOCAL client_min_messages = warning;

\if :{?monitor_password}
\else
  DO $$ BEGIN RAISE EXCEPTION 'no password for poolbudget_monitor: write psql -v monitor_password=...'; END $$;
\endif
\if :{?application_role}
\else
  DO $$ BEGIN RAISE EXCEPTION 'no role of the application: write psql -v application_role=...'; END $$;
\endif

SELECT 'CREATE ROLE poolbudget_monitor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'poolbudget_monitor') \gexec

-- The leader holds one session. The limit leaves room for a new leader beside the last session of the old one, and bounds
-- what a leaked password could take from the server.
ALTER ROLE poolbudget_monitor LOGIN PASSWORD :'monitor_password' CONNECTION LIMIT 4;

-- pg_monitor shows every session's role, address and state in pg_stat_activity. It reads no table of yours.
GRANT pg_monitor TO poolbudget_monitor;

-- With reserved_connections above 0 the operator still gets in when the server is full, when its figures matter most.
SELECT current_setting('server_version_num')::int >= 160000 AS has_reserved_connections \gset
\if :has_reserved_connections
  GRANT pg_use_reserved_connections TO poolbudget_monitor;
\endif

-- A client that vanishes in the middle of a query leaves its backend running, and holding its slot, until the query ends,
-- while its replacement opens new ones. With this setting the server looks every half second and ends such backends
-- (Postgres 14 or newer).
ALTER ROLE :"application_role" SET client_connection_check_interval = '500ms';

COMMIT;
