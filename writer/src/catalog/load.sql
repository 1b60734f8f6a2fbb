-- The registered targets and their columns, generated ones left out: one row per column, in one
-- snapshot. A target without columns has one row with nulls.
select
  t.relation::pg_catalog.oid,
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text,
  t.key::pg_catalog.text[],
  t.on_conflict::pg_catalog.text,
  a.attnum,
  a.attname::pg_catalog.text,
  a.atttypid,
  a.atttypmod,
  a.attnotnull,
  pg_catalog.format_type(a.atttypid, a.atttypmod)
from forebay.target t
join pg_catalog.pg_class c on c.oid = t.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute a
  on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
order by t.id, a.attnum
