-- Run this on a restored PostgreSQL database, before a server opens it. docs/operations.md says why.
BEGIN;
DELETE FROM sessions;
UPDATE tasks SET version = version + 1000000;
SELECT setval(name, nextval(name) + 1000000) FROM pg_get_serial_sequence('tasks', 'id') AS name;
COMMIT;
