-- The columns of these tables that are staged, as they are now that the tables are locked.
select a.attrelid,
       pg_catalog.array_agg(a.attname::pg_catalog.text order by a.attnum),
       pg_catalog.array_agg(a.atttypid order by a.attnum)
from pg_catalog.pg_attribute a
where a.attrelid = any ($1::pg_catalog.oid[])
  and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
group by a.attrelid
