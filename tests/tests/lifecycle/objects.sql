-- Every object of the extension with all that makes it what it is, one a line. Staging tables come
-- and go, and are left out.
with member as (
  select d.classid, d.objid from pg_depend d
  join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
  where e.extname = 'forebay' and d.deptype = 'e'),
relation as (
  select c.* from member m join pg_class c on c.oid = m.objid and m.classid = 'pg_class'::regclass
  where c.relnamespace <> 'forebay_staging'::regnamespace)
select concat_ws(' | ', 'object', pg_describe_object(m.classid, m.objid, 0), obj_description(m.objid, c.relname))
  from member m join pg_class c on c.oid = m.classid
  where not (m.classid = 'pg_class'::regclass
             and m.objid in (select oid from pg_class where relnamespace = 'forebay_staging'::regnamespace))
    and not (m.classid = 'pg_type'::regclass
             and m.objid in (select oid from pg_type where typnamespace = 'forebay_staging'::regnamespace))
union all
select concat_ws(' | ', 'function', pg_get_functiondef(p.oid), (select string_agg(a::text, ',' order by a::text) from unnest(p.proacl) a))
  from member m join pg_proc p on p.oid = m.objid and m.classid = 'pg_proc'::regclass
union all
select concat_ws(' | ', 'relation', r.relname, r.relkind, r.relpersistence, r.reloptions::text,
                 (select string_agg(a::text, ',' order by a::text) from unnest(r.relacl) a),
                 case when r.relkind = 'v' then pg_get_viewdef(r.oid) end)
  from relation r
union all
select concat_ws(' | ', 'column', r.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                 a.attgenerated, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
  from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
  where r.relkind in ('r', 'v', 'c')
union all
select concat_ws(' | ', 'index', pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'))
  from relation r join pg_index i on i.indrelid = r.oid
union all
select concat_ws(' | ', 'constraint', r.relname, k.conname, pg_get_constraintdef(k.oid))
  from relation r join pg_constraint k on k.conrelid = r.oid
union all
select concat_ws(' | ', 'dumped', pg_describe_object('pg_class'::regclass, u.relation, 0), u.condition)
  from pg_extension e, unnest(e.extconfig, e.extcondition) u(relation, condition)
  where e.extname = 'forebay'
union all
select concat_ws(' | ', 'version', extversion) from pg_extension where extname = 'forebay'
order by 1
