select c.relname::text, t.on_conflict
from forebay.target t
join pg_catalog.pg_class c on c.oid = t.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1::text
