-- Takes a slot with staging tables for these targets. The search path is pg_catalog, so a
-- table's text names its schema and is quoted as needed.
select relation::oid, staging::text, slot, batch::text::int8
from forebay.stage($1::oid[]::regclass[])
