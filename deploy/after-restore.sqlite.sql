-- Run this on a restored SQLite database, before a server opens it. docs/operations.md says why.
BEGIN;
DELETE FROM sessions;
UPDATE tasks SET version = version + 1000000;
UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'tasks';
COMMIT;
