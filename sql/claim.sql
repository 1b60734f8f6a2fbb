create function forebay.end_claimants(source text, topic text, partitions int4[]) returns int8
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with free as materialized (
        select p.partition from forebay.progress p
        where p.source = end_claimants.source and p.topic = end_claimants.topic and p.partition = any (partitions)
        for update skip locked)
    select count(*) filter (where pg_terminate_backend(a.pid))
    from forebay.progress p
    join pg_stat_get_activity(null) a on a.pid = p.backend_pid and a.backend_start = p.backend_start
    where p.source = end_claimants.source and p.topic = end_claimants.topic and p.partition = any (partitions)
      and a.pid <> pg_backend_pid()
      and a.backend_xid is not null -- who holds a row lock has a transaction; an idle claimant is healthy
      and a.wait_event is distinct from 'SyncRep'
      and not exists (select from free f where f.partition = p.partition)
$$;
comment on function forebay.end_claimants(text, text, int4[]) is
    'Ends the sessions that still hold progress rows: exactly those that claimed them, and not one that waits for a synchronous replica, whose outcome is unknown.';

create function forebay.lock_progress(source text, topic text, partitions int4[], grace interval) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    grace_ms int4 := greatest(1, ceil(extract(epoch from grace) * 1000))::int4;
    ended int8;
begin
    perform set_config('lock_timeout', grace_ms::text, true);
    for attempt in 1 .. 4 loop
        begin
            perform from forebay.progress p
            where p.source = lock_progress.source and p.topic = lock_progress.topic and p.partition = any (partitions)
            order by p.topic, p.partition
            for update;
            return;
        exception when lock_not_available then
            ended := forebay.end_claimants(source, topic, partitions);
            raise log 'forebay: claim of source "%" ended % session(s) that held its progress', source, ended;
        end;
    end loop;
    raise exception using errcode = '55P03',
        message = format('progress of source "%s" stays locked by another session', source),
        hint = 'A session that waits for a synchronous replica is not ended. Look at pg_stat_activity and pg_locks.';
end
$$;
comment on function forebay.lock_progress(text, text, int4[], interval) is
    'Locks progress rows in order. Who still holds one after the grace time is ended.';

create function forebay.claim(source text, topic text, partitions int4[], initial_offsets int8[], claimant text,
        cluster_id text default null, grace interval default '2 seconds')
    returns table (partition int4, token uuid, next_offset int8, last_offset int8, last_timestamp int8,
                   last_hash bytea, timeline int4, system_identifier int8, first_seen boolean)
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '10 s' -- for partitions that another session is just adding
as $$
#variable_conflict use_column
declare
    new_partitions int4[];
    other_cluster text;
begin
    if coalesce(cardinality(partitions), 0) = 0 or cardinality(partitions) <> cardinality(initial_offsets) then
        raise exception using errcode = '22023',
            message = 'claim needs partitions, and one initial offset for each';
    end if;
    if not exists (select from forebay.progress p where p.source = claim.source) then
        raise warning using errcode = '01000',
            message = format('source "%s" was never seen before in this database', source),
            hint = 'Right for a new source. A misspelt name reads its topics from the configured start again.';
    end if;
    with added as (
        insert into forebay.progress (source, topic, partition, next_offset, token, cluster_id)
        select claim.source, claim.topic, n.partition, n.initial_offset, gen_random_uuid(), claim.cluster_id
        from unnest(partitions, initial_offsets) n(partition, initial_offset)
        -- A row that is there is not tried: the insert would wait for whoever holds it, without end.
        where not exists (
            select from forebay.progress p
            where p.source = claim.source and p.topic = claim.topic and p.partition = n.partition)
        order by n.partition
        on conflict do nothing
        returning partition)
    select array_agg(a.partition) into new_partitions from added a;
    perform forebay.lock_progress(source, topic, partitions, grace);
    select p.cluster_id into other_cluster from forebay.progress p
    where p.source = claim.source and p.topic = claim.topic and p.partition = any (partitions)
      and p.cluster_id <> claim.cluster_id limit 1;
    if other_cluster is not null then
        raise exception using errcode = '55000',
            message = format('source "%s" has read topic "%s" from the Kafka cluster %s, not from %s',
                             source, topic, other_cluster, cluster_id),
            hint = 'Offsets of one cluster mean nothing in another. Use another source name, or the right brokers.';
    end if;
    return query
        update forebay.progress p
        set token = gen_random_uuid(), claimant = claim.claimant, cluster_id = coalesce(claim.cluster_id, p.cluster_id),
            backend_pid = pg_backend_pid(),
            backend_start = (select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a),
            updated_at = clock_timestamp()
        where p.source = claim.source and p.topic = claim.topic and p.partition = any (partitions)
        returning p.partition, p.token, p.next_offset, p.last_offset, p.last_timestamp, p.last_hash,
            ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4,
            (select c.system_identifier from pg_control_system() c),
            p.partition = any (coalesce(new_partitions, '{}'));
end
$$;
comment on function forebay.claim(text, text, int4[], int8[], text, text, interval) is
    'Takes partitions of a topic for this session: new tokens in their progress rows, so that every earlier claim is fenced. Partitions never seen start at the given initial offsets. Ends the session that still holds a row after the grace time.';
