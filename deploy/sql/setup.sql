-- The role that PgBouncer looks up its users with, and the function that it asks. For budgets with a pooler that the
-- operator runs, and a `pooler.authSecretRef` with the keys username (poolbudget_pooler) and password.
-- Run it once as a superuser in the database that the pooler stands in front of; running it again changes nothing but
-- the password:
--
--   psql -d orders -v pooler_password=... -f setup.sql
--
-- Without -v the password is taken from the environment: POOLBUDGET_POOLER_PASSWORD (psql 15 or newer).

\set ON_ERROR_STOP on
\if :{?pooler_password}
\else
  \getenv pooler_password POOLBUDGET_POOLER_PASSWORD
\endif

BEGIN;
SET LOCAL client_min_messages = warning;

\if :{?pooler_password}
\else
  DO $$ BEGIN RAISE EXCEPTION 'no password for poolbudget_pooler: write psql -v pooler_password=...'; END $$;
\endif

SELECT 'CREATE ROLE poolbudget_pooler' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'poolbudget_pooler') \gexec

-- No CONNECTION LIMIT: where it were reached, applications could not log in. Each PgBouncer opens two sessions for it.
ALTER ROLE poolbudget_pooler LOGIN PASSWORD :'pooler_password';

CREATE SCHEMA IF NOT EXISTS poolbudget;
GRANT USAGE ON SCHEMA poolbudget TO poolbudget_pooler;

-- The secret of one role, as Postgres keeps it. Superusers, roles that replicate and this one never go through the pooler.
CREATE OR REPLACE FUNCTION poolbudget.pooler_auth(role_name text) RETURNS TABLE (username text, secret text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT rolname::text, rolpassword::text FROM pg_authid
  WHERE rolname = role_name AND rolcanlogin AND NOT rolsuper AND NOT rolreplication AND rolname <> 'poolbudget_pooler'
    AND (rolvaliduntil IS NULL OR rolvaliduntil > now())
$$;
REVOKE ALL ON FUNCTION poolbudget.pooler_auth(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION poolbudget.pooler_auth(text) TO poolbudget_pooler;

COMMIT;
