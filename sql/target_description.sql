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
                'columns', (
                    select jsonb_agg(jsonb_build_object('attnum', s.attnum, 'name', s.attname,
                        'comparable', y.typcategory in ('A', 'R') or exists (
                            select from pg_opclass o join pg_am m on m.oid = o.opcmethod
                            where o.opcdefault and m.amname in ('btree', 'hash')
                              and o.opcintype = case y.oid when 'varchar'::regtype then 'text'::regtype else y.oid end))
                        order by s.attnum)
                    from forebay.staging_columns(c.oid) s join pg_type y on y.oid = s.atttypid),
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
