-- The columns of these tables that are staged, as they are now that the tables are locked.
select s.relation,
       pg_catalog.array_agg(s.name order by s.attnum),
       pg_catalog.array_agg(s.type order by s.attnum),
       pg_catalog.array_agg(s.type_modifier order by s.attnum)
from forebay.staged_column s
where s.relation = any ($1::pg_catalog.oid[])
group by s.relation
