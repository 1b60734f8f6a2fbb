create function forebay.equality_operator(compared oid) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    with recursive base(type) as (
        select compared
        union all
        select t.typbasetype from base b join pg_type t on t.oid = b.type where t.typtype = 'd'),
    value as (
        select t.* from base b join pg_type t on t.oid = b.type where t.typtype <> 'd')
    select case
        when v.typtype in ('e', 'r', 'm') then 'operator(pg_catalog.=)'
        when v.typtype <> 'b' then null
        when v.typsubscript = 'array_subscript_handler'::regproc then
            case when forebay.equality_operator(v.typelem) is not null then 'operator(pg_catalog.=)' end
        else (
            select format('operator(%I.%s)', n.nspname, r.oprname)
            from pg_opclass o
            join pg_am m on m.oid = o.opcmethod
            join pg_amop p on p.amopfamily = o.opcfamily and p.amoplefttype = o.opcintype
             and p.amoprighttype = o.opcintype
             and p.amopstrategy = case m.amname when 'btree' then 3 else 1 end
            join pg_operator r on r.oid = p.amopopr
            join pg_namespace n on n.oid = r.oprnamespace
            where o.opcdefault and m.amname in ('btree', 'hash')
              and (o.opcintype = v.oid or exists (
                    select from pg_cast c
                    where c.castsource = v.oid and c.casttarget = o.opcintype
                      and c.castmethod = 'b' and c.castcontext = 'i'))
            order by o.opcintype = v.oid desc, m.amname
            limit 1)
        end
    from value v
$$;
comment on function forebay.equality_operator(oid) is
    'The equality of a type, as an operator that is found whatever the search path; null for types that have none. Domains have that of their base type.';

create function forebay.describe_columns(target_relation oid) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(jsonb_build_object(
        'attnum', s.attnum,
        'name', s.name,
        'equality', forebay.equality_operator(s.type),
        'typed_null', case when s.staged_type <> s.type then -- a domain may refuse a plain null
            format(case y.typtype when 'd' then '(null::%s[])[1]' else 'null::%s' end, format_type(s.type, null)) end,
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
            where c.oid = a.attcollation) end)
        order by s.attnum)
    from forebay.staged_column s
    join pg_attribute a on a.attrelid = s.relation and a.attnum = s.attnum
    join pg_type y on y.oid = s.type
    where s.relation = target_relation
$$;
comment on function forebay.describe_columns(oid) is
    'What a merge needs to know of the staged columns of a target: how their values are compared, made of their literals, and adjusted to the column''s type modifier.';

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
                'partitioned', c.relkind = 'p',
                'owner', c.relowner::int8,
                'owner_name', pg_get_userbyid(c.relowner),
                'missing_right', (
                    select r.privilege from unnest(array['select', 'insert', 'update', 'delete']) r(privilege)
                    where not has_table_privilege(c.relowner, c.oid, r.privilege) limit 1),
                'policy', t.on_conflict,
                'key', coalesce(t.key, '{}'),
                'key_constraint', (
                    select k.relname from pg_index i join pg_class k on k.oid = i.indexrelid
                    where i.indrelid = c.oid and i.indisunique
                      and forebay.index_columns(i) @> t.key and forebay.index_columns(i) <@ t.key
                    order by i.indisprimary desc, k.relname limit 1),
                'compare', t.compare,
                'columns', coalesce(forebay.describe_columns(c.oid), '[]'),
                'guard', coalesce((
                    select jsonb_agg(distinct a.attname)
                    from pg_index i
                    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                     and (a.attnum = any (i.indkey::int2[]) or i.indexprs is not null or i.indpred is not null)
                    where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
                      and not (i.indpred is null and i.indexprs is null and t.key is not null
                               and forebay.index_columns(i) @> t.key and forebay.index_columns(i) <@ t.key)
                      and not a.attname = any (coalesce(t.key, '{}'))), '[]')))
            from forebay.target t
            join pg_class c on c.oid = t.relation
            join pg_namespace n on n.oid = c.relnamespace
            where t.relation = any (relations)), '[]'),
        'foreign_keys', coalesce((
            select jsonb_agg(jsonb_build_object(
                'child', k.conrelid::int8,
                'parent', k.confrelid::int8,
                'child_columns', (select jsonb_agg(a.attname order by u.position)
                    from unnest(k.conkey) with ordinality u(attnum, position)
                    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
                'parent_columns', (select jsonb_agg(a.attname order by u.position)
                    from unnest(k.confkey) with ordinality u(attnum, position)
                    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum)) order by k.oid)
            from pg_constraint k
            where k.contype = 'f' and k.conparentid = 0
              and k.conrelid = any (relations) and k.confrelid = any (relations)), '[]'))
$$;
comment on function forebay.describe_targets(oid[]) is
    'All that a merge needs to know of its targets: names, owners, policies, keys, columns, the columns of other unique indexes, and the foreign keys among them.';
