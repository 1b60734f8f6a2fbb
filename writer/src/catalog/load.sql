-- The registered targets and their columns, generated ones left out: one row per column, in one
-- snapshot. A target without columns has one row with nulls.
--
-- Where the staged type is another than the column's, it is text: the literal. What a literal is
-- made of, domains looked through, says how JSON becomes one.
with recursive step(oid, base) as (
  select y.oid, y.typbasetype from pg_catalog.pg_type y where y.typtype = 'd'
  union all
  select s.oid, y.typbasetype
  from step s join pg_catalog.pg_type y on y.oid = s.base
  where y.typtype = 'd'),
domain as (
  select s.oid, s.base
  from step s join pg_catalog.pg_type y on y.oid = s.base
  where y.typtype <> 'd')
select
  t.relation::pg_catalog.oid,
  n.nspname::pg_catalog.text,
  c.relname::pg_catalog.text,
  t.key::pg_catalog.text[],
  t.on_conflict::pg_catalog.text,
  s.attnum,
  s.name,
  s.type,
  s.type_modifier,
  s.not_null,
  pg_catalog.format_type(s.type, s.type_modifier),
  s.staged_type <> s.type,
  b.oid,
  coalesce(f.base, e.oid),
  e.typdelim::pg_catalog.text
from forebay.target t
join pg_catalog.pg_class c on c.oid = t.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join forebay.staged_column s on s.relation = c.oid
left join domain d on d.oid = s.type
left join pg_catalog.pg_type b on b.oid = coalesce(d.base, s.type)
left join pg_catalog.pg_type e
  on e.oid = b.typelem and b.typinput = 'pg_catalog.array_in'::pg_catalog.regproc
left join domain f on f.oid = e.oid
order by t.id, s.attnum
