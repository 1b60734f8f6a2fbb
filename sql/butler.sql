create table forebay.butler_ref (
    id uuid,
    dataset_type text,
    run text,
    data_id jsonb,
    storage_class text,
    dimensions text,
    is_calibration boolean,
    file int4,
    file_dataset_type text,
    file_storage_class text,
    datastore_name text,
    path text,
    formatter text
);
comment on table forebay.butler_ref is
    'Always empty: the shape of the datasets that the format butler stages, one row per dataset reference. forebay.butler_resolve turns them into rows of the repository''s tables.';
comment on column forebay.butler_ref.id is 'The dataset''s UUID.';
comment on column forebay.butler_ref.dataset_type is 'The name of its dataset type.';
comment on column forebay.butler_ref.run is 'The name of its run.';
comment on column forebay.butler_ref.data_id is 'Its data ID: dimension names and values.';
comment on column forebay.butler_ref.storage_class is 'The storage class of its dataset type, where the event defines that.';
comment on column forebay.butler_ref.dimensions is 'The required dimensions of its dataset type, in the universe''s order, with commas, where the event defines that.';
comment on column forebay.butler_ref.is_calibration is 'Whether its dataset type is one of calibrations, where the event defines that.';
comment on column forebay.butler_ref.file is 'The number in the event of the file that it is in.';
comment on column forebay.butler_ref.file_dataset_type is 'The dataset type of the first dataset in that file.';
comment on column forebay.butler_ref.file_storage_class is 'The storage class of that type, where the event defines it; null: the registered one.';
comment on column forebay.butler_ref.datastore_name is 'The datastore that has the file.';
comment on column forebay.butler_ref.path is 'The file''s path, relative to the datastore''s root.';
comment on column forebay.butler_ref.formatter is 'The class that reads the file.';

create table forebay.butler_chain (
    operation text,
    parent text,
    children jsonb
);
comment on table forebay.butler_chain is
    'Always empty: the shape of what events ask of chained collections, which the format butler stages, one row per operation, and forebay.butler_finish does.';
comment on column forebay.butler_chain.operation is 'prepend, extend or remove.';
comment on column forebay.butler_chain.parent is 'The chain''s name.';
comment on column forebay.butler_chain.children is 'The names of collections, in order.';

insert into forebay.target (relation, on_conflict)
    values ('forebay.butler_ref', 'resolve'), ('forebay.butler_chain', 'resolve');

create function forebay.give_way() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- By default, a session looks for a deadlock when it has waited for 1 s, and is then the victim.
    perform set_config('lock_timeout', '900ms', true), set_config('deadlock_timeout', '20ms', true);
end
$$;
comment on function forebay.give_way() is
    'Until the transaction ends, it gives up before any other session that it is in a deadlock with: the writer tries again, and the official client does not.';

create function forebay.butler_check_target(schema text) returns void
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from forebay.target t join pg_class c on c.oid = t.relation
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = butler_check_target.schema and c.relname = 'dataset') then
        raise exception using errcode = 'FB003',
            message = format('%s.dataset is not a target', schema),
            hint = 'Register the repository''s tables with forebay.butler_add_targets.';
    end if;
end
$$;
comment on function forebay.butler_check_target(text) is
    'Raises an error unless the tables of the Butler repository in the schema are targets.';

create function forebay.butler_begin(schema text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform forebay.butler_check_target(schema);
    perform forebay.give_way();
    execute format('lock table %I.dataset in row exclusive mode', schema);
end
$$;
comment on function forebay.butler_begin(text) is
    'To be called first in each transaction that writes into the Butler repository in the schema. Who registers a dataset type locks the tables that its table of tags refers to, dataset before all others that are written here: so it is waited for before anything is locked.';

create function forebay.butler_register(schema text, dataset_types jsonb) returns jsonb
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
begin
    perform forebay.give_way();
    answer := forebay.butler_register_types(schema, dataset_types);
    if answer ? 'error' then
        perform forebay.raise_error(answer -> 'error');
    end if;
    return answer;
end
$$;
comment on function forebay.butler_register(text, jsonb) is
    'Registers dataset types, [{"name", "storage_class", "dimensions", "is_calibration"}], in the Butler repository in the schema, with the tables that they need. Those that are there already are left as they are. Answers which were registered, and which can''t be and why.';

create function forebay.butler_resolve(slot int4, schema text, refs int8, chains int8,
        convertible text[] default '{}', refused text[] default '{}', reasons text[] default '{}',
        excluded int4[] default '{}') returns jsonb
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    -- The planner takes the names that it joins with for one row. What it may not do counts as
    -- costly, and would be compiled.
    set enable_nestloop = off
    set jit = off
as $$
declare
    answer jsonb := forebay.butler_resolve_staged(
        slot, schema, refs, chains, convertible, refused, reasons, excluded);
begin
    if answer ? 'error' then
        perform forebay.raise_error(answer -> 'error');
    end if;
    return answer;
end
$$;
comment on function forebay.butler_resolve(int4, text, int8, int8, text[], text[], text[], int4[]) is
    'Turns the dataset references that this transaction has staged in the slot into staged rows of the Butler repository in the schema, makes the runs that they name, and judges what is asked of chains. Pairs of storage classes, with a blank between, may stand for each other if they are named as convertible; dataset types that could not be registered are named as refused, with the reasons; events that are rejected anyhow as excluded. Answers the dataset types that have to be registered first, and nothing else, if there are any; else how many rows for which table, the events that it rejects, and whether butler_finish has to be called after the merge.';

create function forebay.butler_finish(rejected int4[]) returns jsonb
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb := forebay.butler_finish_resolved(rejected);
begin
    if answer ? 'error' then
        perform forebay.raise_error(answer -> 'error');
    end if;
    return answer;
end
$$;
comment on function forebay.butler_finish(int4[]) is
    'To be called after the merge, if butler_resolve says so, with all rejected events: changes chains as the others ask, and removes runs that were made for rejected events alone. If others were resolved in the belief that one of the rejected is not, nothing is done, and the answer names events to exclude: roll back, stage and resolve again without them.';

create function forebay.butler_repository(schema text) returns jsonb
    language plpgsql stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    answer jsonb;
begin
    perform forebay.butler_check_target(schema);
    if not exists (
        select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = butler_repository.schema and c.relname = 'butler_attributes'
          and c.relkind = 'r' and not c.relrowsecurity
          and (select array_agg(a.atttypid order by a.attname) from pg_attribute a
               where a.attrelid = c.oid and a.attname in ('name', 'value')) = '{text,text}'::regtype[]::oid[]) then
        raise exception using errcode = 'FB004',
            message = format('%s.butler_attributes is not the plain table that a Butler repository has', schema);
    end if;
    execute format('select jsonb_object_agg(a.name, a.value) from %I.butler_attributes a', schema) into answer;
    return answer;
end
$$;
comment on function forebay.butler_repository(text) is
    'What the Butler repository in the schema says of itself: its attributes, among them the dimension universe and the versions of its parts.';

create function forebay.butler_other_overlaps(schema text) returns text[]
    language plpgsql stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    elements text[] := '{}';
    element text;
    has_others boolean;
begin
    for element in
        select left(c.relname, -length('_skypix_overlap_summary'))
        from forebay.target t join pg_class c on c.oid = t.relation
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = schema and c.relname like '%\_skypix\_overlap\_summary'
          and c.relkind = 'r' and not c.relrowsecurity
          and (select array_agg(a.atttypid order by a.attname) from pg_attribute a
               where a.attrelid = c.oid and a.attname in ('skypix_system', 'skypix_level'))
              = '{int2,varchar}'::regtype[]::oid[]
        order by c.relname
    loop
        execute format('select exists (select from %I.%I s where s.skypix_system <> ''htm'' or s.skypix_level <> 7)',
                       schema, element || '_skypix_overlap_summary') into has_others;
        if has_others then
            elements := elements || element;
        end if;
    end loop;
    return elements;
end
$$;
comment on function forebay.butler_other_overlaps(text) is
    'The dimension elements of the Butler repository in the schema whose regions have overlaps with other pixels than htm7, which Forebay does not compute.';

create function forebay.butler_add_targets(schema regnamespace default 'public') returns int8
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass;
    added int8 := 0;
    elements name[];
    tags name[];
begin
    if to_regclass(format('%s.butler_attributes', schema)) is null then
        raise exception using errcode = '42P01',
            message = format('schema %s holds no Butler repository: it has no table butler_attributes', schema);
    end if;
    if not exists (
        select from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'value'
        where c.oid = to_regclass(format('%s.butler_attributes', schema))
          and c.relkind = 'r' and not c.relrowsecurity and a.atttypid = 'text'::regtype) then
        raise exception using errcode = 'FB004',
            message = format('%s.butler_attributes is not the plain table that a Butler repository has', schema);
    end if;
    execute format(
        'select array_agg(e) from %s.butler_attributes a, jsonb_object_keys(a.value::jsonb -> ''elements'') e'
        ' where a.name = ''config:dimensions.json''', schema) into elements;
    for relation in
        select c.oid from pg_class c
        where c.relnamespace = schema and c.relkind in ('r', 'p') and c.relname = any (elements)
        order by c.relname
    loop
        perform forebay.add_target(relation, on_conflict => 'ignore');
        added := added + 1;
    end loop;
    for relation in
        select c.oid from pg_class c
        where c.relnamespace = schema and c.relkind in ('r', 'p')
          and (c.relname in ('dataset_location', 'file_datastore_records')
               or c.relname like 'collection\_summary\_%'
               or c.relname = any (array(
                    select e || suffix from unnest(elements) e,
                    unnest('{_skypix_overlap,_skypix_overlap_summary}'::name[]) suffix)))
        order by c.relname
    loop
        perform forebay.add_target(relation, on_conflict => 'ignore');
        added := added + 1;
    end loop;
    perform forebay.add_target(to_regclass(format('%s.dataset', schema)), on_conflict => 'identical',
                               compare => '{dataset_type_id,run_id}');
    added := added + 1;
    -- A table of that name that no dataset type has may be anything.
    execute format('select array_agg(distinct d.tag_association_table::name) from %s.dataset_type d', schema)
        into tags;
    for relation in
        select c.oid from pg_class c
        where c.relnamespace = schema and c.relkind in ('r', 'p') and c.relname = any (tags)
        order by c.relname
    loop
        perform forebay.add_target(relation, on_conflict => 'identical');
        added := added + 1;
    end loop;
    return added;
end
$$;
comment on function forebay.butler_add_targets(regnamespace) is
    'Registers the tables of the Butler repository in a schema that events write: dimension elements, datasets, their tags, locations and file records, and the collection summaries. Returns how many.';
