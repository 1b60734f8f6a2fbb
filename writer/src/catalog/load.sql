-- The registered targets and their columns, generated ones left out: one row per column, in one
-- snapshot. A target without columns has one row with nulls.
select
  t.relation::pg_catalog.oid,
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text,
  t.key::pg_catalog.text[],
  t.on_conflict::pg_catalog.text,
  s.attnum,
  s.name,
  s.staged_type,
  s.type_modifier,
  s.not_null,
  pg_catalog.format_type(s.type, s.type_modifier)
from forebay.target t
join pg_catalog.pg_class c on c.oid = t.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join forebay.staged_column s on s.relation = c.oid
order by t.id, s.attnum
