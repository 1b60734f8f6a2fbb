create function forebay.take_slot(target_ids int4[], slot int4) returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    target_id int4;
    staging text;
begin
    foreach target_id in array target_ids loop
        staging := format('forebay_staging.t%s_%s', target_id, slot);
        -- Two sessions that miss a table must not both make it: the second one would fail.
        if to_regclass(staging) is null
           and not pg_try_advisory_xact_lock(hashtextextended(staging, 7312262931)) then
            raise lock_not_available;
        end if;
        if to_regclass(staging) is not null then
            execute format('lock table %s in share update exclusive mode nowait', staging);
        end if;
    end loop;
    return true;
exception when lock_not_available then
    return false;
end
$$;
comment on function forebay.take_slot(int4[], int4) is
    'Tries to take a slot for this transaction: the lock of each of its staging tables, which conflicts with itself alone; the right to make it, where there is none yet.';

create function forebay.ready_staging(target_id int4, target_relation oid, slot int4) returns regclass
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    leftover_limit constant int8 := 64 * 1024;
    staging regclass := to_regclass(format('forebay_staging.t%s_%s', target_id, slot));
begin
    if staging is null or not forebay.staging_is_current(target_relation, staging) then
        return forebay.create_staging(target_id, target_relation, slot);
    end if;
    if pg_relation_size(staging) > leftover_limit then
        perform forebay.empty_staging(staging);
    end if;
    return staging;
end
$$;
comment on function forebay.ready_staging(int4, oid, int4) is
    'Makes one staging table ready: anew if the target has other columns now, empty if more than 64 KiB is left over in it: what is left over is read again with each batch.';

create function forebay.stage(relations regclass[])
    returns table (relation regclass, staging regclass, slot int4, batch xid8)
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set client_min_messages = warning
as $$
#variable_conflict use_column
declare
    slots constant int4 := 64;
    unknown text;
    target_ids int4[];
    free_slot int4;
    target record;
begin
    select string_agg(coalesce(c.oid::regclass::text, r.relation::oid::text), ', ') into unknown
    from unnest(relations) r(relation)
    left join pg_class c on c.oid = r.relation
    left join forebay.target t on t.relation = r.relation
    where t.id is null or c.oid is null;
    if unknown is not null then
        raise exception using errcode = 'FB003', message = format('not a target: %s', unknown),
            hint = 'Register it with forebay.add_target, or start the writer again if it was dropped and made anew.';
    end if;
    for target in
        select t.relation, t.on_conflict from forebay.target t
        where t.relation = any (relations) and t.on_conflict <> 'resolve' order by t.id
    loop
        execute format('lock table %s in row exclusive mode', target.relation);
    end loop;
    select array_agg(t.id order by t.id) into target_ids from forebay.target t where t.relation = any (relations);
    for candidate in 0 .. slots - 1 loop
        if forebay.take_slot(target_ids, candidate) then
            free_slot := candidate;
            exit;
        end if;
    end loop;
    if free_slot is null then
        raise exception using errcode = '53400', message = format('all %s slots are taken', slots),
            hint = 'Each transaction that stages holds one until it ends. Look for sessions that stay open.';
    end if;
    return query
        select t.relation, forebay.ready_staging(t.id, t.relation, free_slot), free_slot, pg_current_xact_id()
        from forebay.target t where t.id = any (target_ids) order by t.id;
end
$$;
comment on function forebay.stage(regclass[]) is
    'Takes a free slot for this transaction, locks the targets against changes of their columns, and makes the slot''s staging tables ready.';

create function forebay.stage_more(slot int4, relations regclass[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
    set client_min_messages = warning
as $$
declare
    target record;
begin
    for target in
        select t.id, t.relation from forebay.target t
        where t.relation = any (relations) and t.on_conflict <> 'resolve' order by t.id
    loop
        execute format('lock table %s in row exclusive mode', target.relation);
        if not forebay.take_slot(array[target.id], slot) then
            raise exception using errcode = '55P03',
                message = format('slot %s of %s is taken by another session', slot, target.relation);
        end if;
        perform forebay.ready_staging(target.id, target.relation, slot);
    end loop;
end
$$;
comment on function forebay.stage_more(int4, regclass[]) is
    'Makes more targets'' staging tables ready in a slot that this transaction holds: for formats that find out in the database which tables their rows belong to.';
