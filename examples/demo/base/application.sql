-- The role and the table of the example application.
\getenv application_password APPLICATION_PASSWORD
CREATE ROLE shop LOGIN PASSWORD :'application_password';
CREATE TABLE orders (id integer PRIMARY KEY, item text NOT NULL, quantity integer NOT NULL);
INSERT INTO orders SELECT id, 'item ' || id, 1 + id % 9 FROM generate_series(1, 1000) AS id;
GRANT SELECT ON orders TO shop;
