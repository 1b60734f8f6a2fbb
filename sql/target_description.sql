create function forebay.comparison_operator(compared oid, strategy int4) returns text
    language plpgsql stable -- its plans are kept, as those of a function in SQL are not
    set search_path = pg_catalog, pg_temp
as $$
declare
    of_containers constant text := format('operator(pg_catalog.%s)', case strategy when 3 then '=' else '<' end);
    value pg_type;
begin
    loop
        select t.* into value from pg_type t where t.oid = compared;
        exit when value.typtype is distinct from 'd';
        compared := value.typbasetype;
    end loop;
    if value.typtype in ('e', 'r', 'm') then
        return of_containers;
    elsif value.typtype is distinct from 'b' then
        return null;
    elsif value.typsubscript = 'array_subscript_handler'::regproc then
        return case when forebay.comparison_operator(value.typelem, strategy) is not null then of_containers end;
    end if;
    return (
        select format('operator(%I.%s)', n.nspname, r.oprname)
        from pg_opclass o
        join pg_am m on m.oid = o.opcmethod
        join pg_amop p on p.amopfamily = o.opcfamily and p.amoplefttype = o.opcintype
         and p.amoprighttype = o.opcintype
         and p.amopstrategy = case m.amname when 'btree' then strategy else 1 end
        join pg_operator r on r.oid = p.amopopr
        join pg_namespace n on n.oid = r.oprnamespace
        where o.opcdefault and (m.amname = 'btree' or m.amname = 'hash' and strategy = 3)
          and (o.opcintype = value.oid or exists (
                select from pg_cast c
                where c.castsource = value.oid and c.casttarget = o.opcintype
                  and c.castmethod = 'b' and c.castcontext = 'i'))
        order by o.opcintype = value.oid desc, m.amname
        limit 1);
end
$$;
comment on function forebay.comparison_operator(oid, int4) is
    'The equality (3) or less-than (1) of a type, as an operator that is found whatever the search path; null for types that have none. Domains have that of their base type.';

create function forebay.equal_is_same(compared oid, collated oid) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select compared = any ('{bool,int2,int4,int8,date,time,timestamp,timestamptz,uuid,bytea}'::regtype[])
        or compared = any ('{text,varchar}'::regtype[])
           and (select c.collisdeterministic from pg_collation c where c.oid = collated)
$$;
comment on function forebay.equal_is_same(oid, oid) is
    'Whether equal values of a type are certain to be the same bytes, and equality is as quick to find out.';

create function forebay.describe_columns(target_relation oid) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object(
        'attnum', s.attnum,
        'name', s.name,
        'not_null', s.not_null,
        'equality', forebay.comparison_operator(s.type, 3),
        'less', forebay.comparison_operator(s.type, 1),
        'equal_is_same', coalesce(forebay.equal_is_same(s.type, a.attcollation), false),
        'is_literal', s.staged_type <> s.type,
        'is_set_once', a.attidentity = 'a', -- PostgreSQL refuses to update it
        'typed_null', -- a domain may refuse a plain null
            format(case y.typtype when 'd' then '(null::%s[])[1]' else 'null::%s' end, format_type(s.type, null)),
        'type_modifier', s.type_modifier,
        'adjust', case when s.staged_type = s.type and s.type_modifier >= 0 then (
            select jsonb_build_object('function', format('%I.%I', n.nspname, f.proname), 'arguments', f.pronargs)
            from pg_cast k
            join pg_proc f on f.oid = k.castfunc
            join pg_namespace n on n.oid = f.pronamespace
            where k.castsource = s.type and k.casttarget = s.type) end,
        'collation', case when a.attcollation <> y.typcollation then (
            select format('%I.%I', n.nspname, c.collname)
            from pg_collation c join pg_namespace n on n.oid = c.collnamespace
            where c.oid = a.attcollation) end,
        'constant_default', case when d.adbin::text like '{CONST %' then pg_get_expr(d.adbin, d.adrelid) end,
        'has_default', d.oid is not null or a.attidentity <> '' or y.typdefault is not null)
        order by s.attnum)
    from forebay.staged_column s
    join pg_attribute a on a.attrelid = s.relation and a.attnum = s.attnum
    join pg_type y on y.oid = s.type
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where s.relation = target_relation
$$;
comment on function forebay.describe_columns(oid) is
    'What a merge needs to know of the staged columns of a target: how their values are compared, made of their literals, adjusted to the column''s type modifier, and what stands in their place where an event does not name them.';

create function forebay.is_key_index(index pg_catalog.pg_index, key name[]) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select index.indpred is null and index.indexprs is null and key is not null
       and forebay.index_columns(index) @> key and forebay.index_columns(index) <@ key
$$;
comment on function forebay.is_key_index(pg_catalog.pg_index, name[]) is
    'Whether an index is over exactly these columns and all rows.';

create function forebay.is_spelt_one_way(target_relation oid, key name[]) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(bool_and(p.amproc is not null and coalesce(c.collisdeterministic, true)), false)
    from pg_index i
    cross join lateral unnest(i.indclass::oid[], i.indcollation::oid[]) u(class, collated)
    join pg_opclass o on o.oid = u.class
    left join pg_amproc p on p.amprocfamily = o.opcfamily and p.amproclefttype = o.opcintype
     and p.amprocrighttype = o.opcintype and p.amprocnum = 4
     and p.amproc in ('btequalimage'::regproc, 'btvarstrequalimage'::regproc)
     and o.opcintype <> 'bpchar'::regtype -- without a length, blanks at its end are stored and not compared
    left join pg_collation c on c.oid = u.collated
    where i.indrelid = target_relation and forebay.is_key_index(i, key)
$$;
comment on function forebay.is_spelt_one_way(oid, name[]) is
    'Whether equal keys are the same value, as they are not in a collation that folds case, and of numeric: what is stored then is the first one.';

create function forebay.has_default_operators(index pg_catalog.pg_index) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select forebay.has_column_collations(index)
       and (select bool_and(o.opcdefault) from pg_opclass o where o.oid = any (index.indclass::oid[]))
$$;
comment on function forebay.has_default_operators(pg_catalog.pg_index) is
    'Whether an index means by equal what its columns'' types and collations mean by it.';

create function forebay.describe_uniques(target_relation oid, key name[]) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object('name', c.relname, 'columns', forebay.index_columns(i)) order by c.relname)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = target_relation and i.indisunique and i.indimmediate and i.indisvalid
      and i.indpred is null and i.indexprs is null and not i.indnullsnotdistinct
      and not forebay.is_key_index(i, key) and forebay.has_default_operators(i)
      and not exists (
        select from unnest(forebay.index_columns(i)) u(name)
        left join forebay.staged_column s on s.relation = target_relation and s.name = u.name
        where forebay.comparison_operator(s.type, 3) is null)
$$;
comment on function forebay.describe_uniques(oid, name[]) is
    'The unique indexes of a target, its key''s aside, whose violations a query can find.';

create function forebay.describe_guard(target_relation oid, key name[]) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(distinct s.name)
    from pg_index i
    join forebay.staged_column s on s.relation = target_relation
     and (s.attnum = any (i.indkey::int2[]) or i.indexprs is not null or i.indpred is not null
          or exists (
            select from pg_attribute g
            where g.attrelid = target_relation and g.attnum = any (i.indkey::int2[]) and g.attgenerated <> ''))
    where i.indrelid = target_relation and (i.indisunique or i.indisexclusion)
      and not forebay.is_key_index(i, key) and not s.name = any (coalesce(key, '{}'))
$$;
comment on function forebay.describe_guard(oid, name[]) is
    'The columns outside the key that other unique indexes and exclusion constraints look at: all, where an index has expressions, a predicate or generated columns.';

create function forebay.describe_checks(target_relation oid) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object(
        'name', k.conname,
        'expression', pg_get_expr(k.conbin, k.conrelid),
        'columns', (
            select coalesce(jsonb_agg(a.attname), '[]') from pg_attribute a
            where a.attrelid = k.conrelid and a.attnum = any (k.conkey)))
        order by k.conname)
    from pg_constraint k
    where k.conrelid = target_relation and k.contype = 'c'
      and not exists (
        select from unnest(k.conkey) u(attnum)
        where not exists (
            select from forebay.staged_column s where s.relation = target_relation and s.attnum = u.attnum))
$$;
comment on function forebay.describe_checks(oid) is
    'The check constraints of a target that look at staged columns alone.';

create function forebay.why_walked(target_relation oid, key name[]) returns text
    language sql stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    with tree as materialized (
        select target_relation as relid
        union
        select p.relid::oid from pg_partition_tree(target_relation) p)
    select case
        when exists (
            select from pg_trigger g where g.tgrelid in (select relid from tree)
              and not g.tgisinternal and g.tgenabled <> 'D') then 'it has triggers'
        when exists (
            select from pg_rewrite r where r.ev_class in (select relid from tree) and r.ev_enabled <> 'D')
            then 'it has rules'
        when exists (
            select from pg_depend d
            join pg_proc f on f.oid = d.refobjid
            join pg_language l on l.oid = f.prolang
            where d.refclassid = 'pg_proc'::regclass and f.provolatile <> 'i' and l.lanname not in ('internal', 'c')
              and (d.classid = 'pg_attrdef'::regclass and d.objid in (
                    select a.oid from pg_attrdef a where a.adrelid in (select relid from tree))
                   or d.classid = 'pg_constraint'::regclass and d.objid in (
                    select k.oid from pg_constraint k
                    where k.contype = 'c' and (k.conrelid in (select relid from tree) or k.contypid in (
                        select s.type from forebay.staged_column s where s.relation = target_relation)))))
            then 'a default or check of it calls a function that may look at other rows'
        when exists (
            select from pg_index i
            where i.indrelid in (select relid from tree) and i.indrelid <> target_relation
              and (i.indisunique or i.indisexclusion)
              and not exists (select from pg_inherits h where h.inhrelid = i.indexrelid))
            then 'a partition of it has a unique index of its own'
        when exists (
            select from pg_constraint k
            where k.contype = 'f' and k.conparentid = 0
              and (k.conrelid in (select relid from tree) and k.conrelid <> target_relation
                   or k.confrelid in (select relid from tree) and k.confrelid <> target_relation))
            then 'a partition of it has a foreign key of its own'
        when exists (
            select from pg_index i
            where i.indrelid = target_relation and i.indisunique and forebay.is_key_index(i, key)
              and not forebay.has_default_operators(i))
            then 'the index over its key has another equality than its columns'
    end
$$;
comment on function forebay.why_walked(oid, name[]) is
    'Why rows of a target are applied one by one: what it has may make one row''s outcome depend on others in ways that no look foresees. Null: they are merged as a set.';

create function forebay.why_by_triggers(foreign_key pg_constraint) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select case
        when child.relkind <> 'r' then 'rows are written into partitions'
        when foreign_key.confrelid = foreign_key.conrelid then 'it refers to the rows'' own table'
        when foreign_key.condeferrable then 'it is deferrable'
        when not foreign_key.convalidated then 'it is not valid'
        when (to_jsonb(foreign_key) ->> 'conperiod')::boolean then 'it compares periods' -- from 18 on
        when (select count(*) from pg_trigger g
              where g.tgconstraint = foreign_key.oid and g.tgrelid = foreign_key.conrelid and g.tgenabled = 'O') <> 2
            then 'its triggers are not enabled as usual'
        when child.relowner <> parent.relowner then 'what it refers to has another owner'
        when parent.relforcerowsecurity then 'what it refers to forces row security'
        when exists (
            select from unnest(foreign_key.conkey) u(attnum)
            where not exists (
                select from forebay.staged_column s
                where s.relation = foreign_key.conrelid and s.attnum = u.attnum))
            then 'a column of it is not staged'
        when exists (
            select from unnest(foreign_key.confkey, foreign_key.conkey) u(parent_attnum, child_attnum)
            join pg_attribute a on a.attrelid = foreign_key.confrelid and a.attnum = u.parent_attnum
            join pg_attribute b on b.attrelid = foreign_key.conrelid and b.attnum = u.child_attnum
            where a.attcollation <> b.attcollation)
            then 'it compares columns of different collations'
    end
    from pg_class child, pg_class parent
    where child.oid = foreign_key.conrelid and parent.oid = foreign_key.confrelid
$$;
comment on function forebay.why_by_triggers(pg_constraint) is
    'Why a foreign key of a target is checked by PostgreSQL''s triggers, once for each row. Null: a merge checks it once for a set of rows.';

create function forebay.by_triggers(target_relation oid, key name[]) returns jsonb
    language sql stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(k.conname, w.why) filter (where w.why is not null), '{}')
    from pg_constraint k
    cross join lateral (select coalesce(
        'rows are applied one by one: ' || forebay.why_walked(target_relation, key),
        forebay.why_by_triggers(k))) w(why)
    where k.contype = 'f' and k.conrelid = target_relation
      and not exists ( -- that of a partition that its parent's table has
        select from pg_constraint o where o.oid = k.conparentid and o.conrelid = k.conrelid)
$$;
comment on function forebay.by_triggers(oid, name[]) is
    'The foreign keys of a target that PostgreSQL''s triggers check, once for each row, each with the reason. A merge checks the others once for a set of rows.';

create view forebay.target as
    select r.id, r.relation, r.key, r.on_conflict, r.version, r.compare, r.created_at,
           case when r.on_conflict <> 'resolve' then forebay.why_walked(r.relation, r.key) end as why_walked,
           case when r.on_conflict <> 'resolve' then forebay.by_triggers(r.relation, r.key) end as by_triggers
    from forebay.registration r;
comment on view forebay.target is
    'The registered targets, and which way their rows take. Filled by forebay.add_target, never by hand.';
comment on column forebay.target.why_walked is
    'Why its rows are applied one by one. Null: they are merged as a set, as long as they do not interact.';
comment on column forebay.target.by_triggers is
    'Its foreign keys that PostgreSQL''s triggers check, once for each row, each with the reason. A merge checks the others once for a set of rows.';

create function forebay.describe_foreign_keys(relations oid[]) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object(
        'name', k.conname,
        'child', k.conrelid::int8,
        'parent', k.confrelid::int8,
        'parent_rows', format(case p.relkind when 'p' then '%I.%I' else 'only %I.%I' end, n.nspname, p.relname),
        'child_columns', (select jsonb_agg(a.attname order by u.position)
            from unnest(k.conkey) with ordinality u(attnum, position)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
        'parent_columns', (select jsonb_agg(a.attname order by u.position)
            from unnest(k.confkey) with ordinality u(attnum, position)
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum),
        'equalities', (select jsonb_agg(format('operator(%I.%s)', m.nspname, r.oprname) order by u.position)
            from unnest(k.conpfeqop) with ordinality u(operator, position)
            join pg_operator r on r.oid = u.operator
            join pg_namespace m on m.oid = r.oprnamespace),
        'collations', (
            select jsonb_agg(case when a.attcollation <> b.attcollation and a.attcollation <> 0 then (
                select format('%I.%I', m.nspname, l.collname)
                from pg_collation l join pg_namespace m on m.oid = l.collnamespace
                where l.oid = a.attcollation) end order by u.position)
            from unnest(k.confkey, k.conkey) with ordinality u(attnum, child_attnum, position)
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum
            join pg_attribute b on b.attrelid = k.conrelid and b.attnum = u.child_attnum),
        'parent_root', pg_partition_root(p.oid)::oid::int8,
        'match_full', k.confmatchtype = 'f',
        'foreseeable',
            not exists (
                select from unnest(k.conkey) u(attnum)
                where not exists (
                    select from forebay.staged_column s where s.relation = k.conrelid and s.attnum = u.attnum))
            and k.convalidated -- else stored rows may refer to nothing, and be updated all the same
            -- else a query would run the code of its indexes, as the table's owner
            and (p.relowner = c.relowner or pr.rolsuper)
            and has_schema_privilege(c.relowner, p.relnamespace, 'usage')
            and has_table_privilege(c.relowner, p.oid, 'select')
            and (o.rolsuper or o.rolbypassrls or not p.relrowsecurity
                 or p.relowner = c.relowner and not p.relforcerowsecurity),
        'constraint', k.oid::int8,
        'set_based', forebay.why_by_triggers(k) is null,
        'refers_to_key', coalesce(t.on_conflict <> 'append' and (
            select array_agg(a.attname) @> t.key and array_agg(a.attname) <@ t.key
            from pg_attribute a where a.attrelid = k.confrelid and a.attnum = any (k.confkey)), false))
        order by k.oid)
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    join pg_roles o on o.oid = c.relowner
    join pg_class p on p.oid = k.confrelid
    join pg_roles pr on pr.oid = p.relowner
    join pg_namespace n on n.oid = p.relnamespace
    left join forebay.target t on t.relation = p.oid
    where k.contype = 'f' and k.conrelid = any (relations)
      and not exists ( -- that of a partition that its parent's table has
        select from pg_constraint o where o.oid = k.conparentid and o.conrelid = k.conrelid)
      and exists (
        select from pg_trigger g
        where g.tgconstraint = k.oid and g.tgrelid = k.conrelid and g.tgenabled in ('O', 'A'))
$$;
comment on function forebay.describe_foreign_keys(oid[]) is
    'The foreign keys of these tables that are enforced. foreseeable: the table''s owner may look for the parents, in columns that are staged, without running code of another owner.';

create function forebay.missing_grant(target_relation oid) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    with target as (
        select c.oid, c.relowner, c.relnamespace from pg_class c where c.oid = target_relation),
    expression as (
        select 'pg_attrdef'::regclass as classid, d.oid from pg_attrdef d where d.adrelid = target_relation
        union all
        select 'pg_constraint'::regclass, k.oid from pg_constraint k
        where k.conrelid = target_relation and k.contype = 'c'
        union all
        select 'pg_class'::regclass, i.indexrelid from pg_index i where i.indrelid = target_relation),
    referring as (
        select r.oid, r.relowner, r.relnamespace, 'select' as privilege
        from pg_constraint k join pg_class r on r.oid = k.conrelid
        where k.contype = 'f' and k.confrelid = target_relation
        union
        select r.oid, r.relowner, r.relnamespace, p.privilege
        from pg_constraint k join pg_class r on r.oid = k.confrelid
        cross join unnest(array['select', 'update']) p(privilege) -- to lock it
        where k.contype = 'f' and k.conrelid = target_relation),
    schema as (
        select t.relowner, t.relnamespace from target t
        union
        select t.relowner, y.typnamespace from target t, forebay.staged_column s
        join pg_type y on y.oid = s.type
        where s.relation = target_relation
        union
        select r.relowner, r.relnamespace from referring r),
    missing as (
        select format('usage on schema %I', n.nspname) as privilege, s.relowner
        from schema s join pg_namespace n on n.oid = s.relnamespace
        where not has_schema_privilege(s.relowner, n.oid, 'usage')
        union all
        select format('%s on %s', r.privilege, r.oid::regclass), r.relowner
        from referring r where not has_table_privilege(r.relowner, r.oid, r.privilege)
        union all
        select format('usage on sequence %s', c.oid::regclass), t.relowner
        from target t, expression e
        join pg_depend d on d.classid = e.classid and d.objid = e.oid and d.refclassid = 'pg_class'::regclass
        join pg_class c on c.oid = d.refobjid and c.relkind = 'S'
        where not has_sequence_privilege(t.relowner, c.oid, 'usage, update')
        union all
        select format('execute on function %s', f.oid::regprocedure), t.relowner
        from target t, expression e
        join pg_depend d on d.classid = e.classid and d.objid = e.oid and d.refclassid = 'pg_proc'::regclass
        join pg_proc f on f.oid = d.refobjid
        where not has_function_privilege(t.relowner, f.oid, 'execute'))
    select format('grant %s to %I', m.privilege, pg_get_userbyid(m.relowner)) from missing m order by 1 limit 1
$$;
comment on function forebay.missing_grant(oid) is
    'A grant that an owner needs besides those on the target itself, so that rows can be written there: on schemas, on what foreign keys refer to, on sequences and functions of defaults, checks and indexes. Null: there is none. It may be for what no row needs, so it only tells why a right was missing.';

create function forebay.describe_targets(relations oid[]) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'targets', coalesce((
            select jsonb_agg(jsonb_build_object(
                'id', t.id,
                'relation', c.oid::int8,
                'name', format('%I.%I', n.nspname, c.relname),
                'display', format('%s.%s', n.nspname, c.relname),
                'schema', n.nspname,
                'table', c.relname,
                'partitioned', c.relkind = 'p',
                'partition_root', pg_partition_root(c.oid)::oid::int8,
                'owner', c.relowner::int8,
                'owner_name', pg_get_userbyid(c.relowner),
                'missing_right', (
                    select r.privilege from unnest(array['select', 'insert', 'update', 'delete']) r(privilege)
                    where not has_table_privilege(c.relowner, c.oid, r.privilege) limit 1),
                'missing_grant', forebay.missing_grant(c.oid),
                'forces_row_security', c.relforcerowsecurity
                    and not (select r.rolbypassrls or r.rolsuper from pg_roles r where r.oid = c.relowner),
                'acted_on', exists (
                    select from pg_constraint k
                    where k.contype = 'f' and k.confrelid = c.oid and k.confdeltype in ('c', 'n', 'd')),
                'referenced', exists (
                    select from pg_constraint k where k.contype = 'f' and k.confrelid = c.oid),
                'why_walked', forebay.why_walked(c.oid, t.key),
                'hides_checks', c.relkind = 'p'
                    or exists (
                        select from pg_index i
                        where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null))
                    or exists (select from pg_attribute g where g.attrelid = c.oid and g.attgenerated <> '')
                    or (select count(*) from pg_constraint k where k.conrelid = c.oid and k.contype = 'c')
                       <> jsonb_array_length(coalesce(forebay.describe_checks(c.oid), '[]')),
                'policy', t.on_conflict,
                'key', coalesce(t.key, '{}'),
                'key_constraint', (
                    select k.relname from pg_index i join pg_class k on k.oid = i.indexrelid
                    where i.indrelid = c.oid and i.indisunique and forebay.is_key_index(i, t.key)
                    order by i.indisprimary desc, k.relname limit 1),
                'key_is_spelt_one_way', forebay.is_spelt_one_way(c.oid, t.key),
                'version', t.version,
                'compare', t.compare,
                'columns', coalesce(forebay.describe_columns(c.oid), '[]'),
                'guard', coalesce(forebay.describe_guard(c.oid, t.key), '[]'),
                'uniques', coalesce(forebay.describe_uniques(c.oid, t.key), '[]'),
                'checks', coalesce(forebay.describe_checks(c.oid), '[]')))
            from forebay.target t
            join pg_class c on c.oid = t.relation
            join pg_namespace n on n.oid = c.relnamespace
            where t.relation = any (relations)), '[]'),
        'foreign_keys', coalesce(forebay.describe_foreign_keys(relations), '[]'))
$$;
comment on function forebay.describe_targets(oid[]) is
    'All that a merge needs to know of its targets: names, owners, policies, keys, columns, constraints, and their foreign keys.';
