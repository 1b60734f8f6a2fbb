create unlogged table forebay.writer_heartbeat (
    id uuid primary key,
    source text not null,
    claimant text not null,
    able boolean not null,
    started_at timestamptz not null default clock_timestamp(),
    beat_at timestamptz not null default clock_timestamp(),
    backend_pid int4 not null,
    backend_start timestamptz not null
) with (fillfactor = 50);
comment on table forebay.writer_heartbeat is
    'The writer processes. One is live while its heartbeat is young and the session that beats it exists. Unlogged: after a crash or a failover nobody is, until it beats again.';
comment on column forebay.writer_heartbeat.id is 'The process: a random number that it draws when it starts.';
comment on column forebay.writer_heartbeat.source is 'The stream that it writes.';
comment on column forebay.writer_heartbeat.claimant is 'What it calls itself.';
comment on column forebay.writer_heartbeat.able is 'Whether it can take partitions: it sees the topics, and is not about to end.';
comment on column forebay.writer_heartbeat.started_at is 'When it first beat. The eldest writer comes first where partitions do not divide evenly.';
comment on column forebay.writer_heartbeat.beat_at is 'When it last beat, by the primary''s clock.';
comment on column forebay.writer_heartbeat.backend_pid is 'The server process of the session that beats.';
comment on column forebay.writer_heartbeat.backend_start is 'When that server process started; with the pid it names one session.';

create unlogged table forebay.writer_session (
    backend_pid int4 primary key,
    backend_start timestamptz not null,
    writer uuid not null,
    worker int4 not null,
    opened_at timestamptz not null default clock_timestamp()
);
comment on table forebay.writer_session is
    'The sessions of the writers'' workers, which own partitions. Each has entered itself.';
comment on column forebay.writer_session.backend_pid is 'The server process of the session.';
comment on column forebay.writer_session.backend_start is 'When that server process started; with the pid it names one session.';
comment on column forebay.writer_session.writer is 'The writer process: writer_heartbeat.id.';
comment on column forebay.writer_session.worker is 'The number of the worker in its process. It has one session at a time.';
comment on column forebay.writer_session.opened_at is 'When it entered itself.';

create function forebay.server_identity() returns table (timeline int4, system_identifier int8)
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4, c.system_identifier
    from pg_control_system() c
$$;
comment on function forebay.server_identity() is
    'Which primary this is: the timeline that it writes, and its cluster. A promotion changes the timeline.';

create function forebay.heartbeat(id uuid, source text, claimant text, able boolean,
        patience interval default '6 seconds')
    returns table (writer uuid)
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    own_start timestamptz := (select a.backend_start from pg_stat_get_activity(pg_backend_pid()) a);
begin
    update forebay.writer_heartbeat h
    set beat_at = clock_timestamp(), able = heartbeat.able,
        backend_pid = pg_backend_pid(), backend_start = own_start
    where h.id = heartbeat.id
      -- It is called more often than it need be written.
      and (h.beat_at not between clock_timestamp() - interval '900 milliseconds' and clock_timestamp()
           or (h.able, h.backend_pid, h.backend_start)
              is distinct from (heartbeat.able, pg_backend_pid(), own_start));
    if not exists (select from forebay.writer_heartbeat h where h.id = heartbeat.id) then
        delete from forebay.writer_heartbeat h where h.beat_at < clock_timestamp() - interval '1 minute';
        insert into forebay.writer_heartbeat (id, source, claimant, able, backend_pid, backend_start)
        values (heartbeat.id, heartbeat.source, heartbeat.claimant, heartbeat.able, pg_backend_pid(), own_start)
        on conflict do nothing;
    end if;
    return query
        select h.id from forebay.writer_heartbeat h
        where h.source = heartbeat.source and h.able and h.beat_at > clock_timestamp() - patience
          and exists (select from pg_stat_get_activity(h.backend_pid) a where a.backend_start = h.backend_start)
        order by h.started_at, h.id;
end
$$;
comment on function forebay.heartbeat(uuid, text, text, boolean, interval) is
    'Shows that a writer process lives, and answers with all live writers of the source that can take partitions, the eldest first.';

create function forebay.open_session(writer uuid, worker int4) returns void
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    -- The writer has given it up; the server may not have noticed.
    select pg_terminate_backend(a.pid, 2000)
    from forebay.writer_session s
    join lateral pg_stat_get_activity(s.backend_pid) a on a.backend_start = s.backend_start
    where s.writer = open_session.writer and s.worker = open_session.worker
      and a.pid <> pg_backend_pid() and a.wait_event is distinct from 'SyncRep';
    delete from forebay.writer_session s
    where not exists (
        select from pg_stat_get_activity(s.backend_pid) a where a.backend_start = s.backend_start);
    insert into forebay.writer_session (backend_pid, backend_start, writer, worker)
    select a.pid, a.backend_start, open_session.writer, open_session.worker
    from pg_stat_get_activity(pg_backend_pid()) a
    on conflict (backend_pid) do update
        set backend_start = excluded.backend_start, writer = excluded.writer, worker = excluded.worker,
            opened_at = excluded.opened_at
$$;
comment on function forebay.open_session(uuid, int4) is
    'Enters this session as that of a writer''s worker, before it owns anything, and ends an earlier one of the same worker: it has one at a time.';

create function forebay.ownership_key(source text, topic text, partition int4) returns int8
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select hashtextextended(format('%s:%s:%s:%s', length(source), source, partition, topic), 7312262931)
$$;
comment on function forebay.ownership_key(text, text, int4) is
    'The advisory lock by which a session owns a partition.';

create function forebay.owners(source text, topic text, partitions int4[], patience interval default '6 seconds')
    returns table (partition int4, backend_pid int4, backend_start timestamptz, writer uuid, worker int4, stale boolean)
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select k.partition, l.pid, a.backend_start, s.writer, s.worker,
           coalesce(coalesce(h.beat_at, s.opened_at) < clock_timestamp() - patience, false)
    from (select n.partition, forebay.ownership_key(owners.source, owners.topic, n.partition) as key
          from unnest(partitions) n(partition)) k
    join (select l.pid, (l.classid::int8 << 32) | l.objid::int8 as key
          from pg_locks l
          where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
            and l.database = (select d.oid from pg_database d where d.datname = current_database())) l
        on l.key = k.key
    left join lateral pg_stat_get_activity(l.pid) a on true
    left join forebay.writer_session s on s.backend_pid = l.pid and s.backend_start = a.backend_start
    left join forebay.writer_heartbeat h on h.id = s.writer
$$;
comment on function forebay.owners(text, text, int4[], interval) is
    'Which sessions own these partitions, of which writer''s worker, and whether that writer''s heartbeat is older than it may be. No row: nobody owns it.';

create function forebay.end_owners(source text, topic text, partitions int4[], patience interval) returns int8
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    with ended as materialized (
        select distinct o.backend_pid
        from forebay.owners(source, topic, partitions, patience) o
        join pg_stat_get_activity(o.backend_pid) a on a.backend_start = o.backend_start
        where o.backend_pid <> pg_backend_pid()
          and a.wait_event is distinct from 'SyncRep'
          and (o.stale or exists (
              select from forebay.writer_session s
              where s.backend_pid = pg_backend_pid() and (s.writer, s.worker) = (o.writer, o.worker))))
    select count(*) filter (where pg_terminate_backend(e.backend_pid, 2000)) from ended e
$$;
comment on function forebay.end_owners(text, text, int4[], interval) is
    'Ends the sessions that own these partitions and should not: those of writers whose heartbeat is too old, and an earlier one of the same worker. None that waits for a synchronous replica, whose outcome is unknown, and none that has not entered itself as a writer''s.';

create function forebay.own(source text, topic text, partitions int4[], patience interval default '6 seconds')
    returns table (partition int4, taken boolean)
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    had int4[];
begin
    perform forebay.end_owners(source, topic, partitions, patience);
    select array_agg(o.partition) into had from forebay.owners(source, topic, partitions) o
    where o.backend_pid = pg_backend_pid();
    for partition in select distinct n.partition from unnest(partitions) n(partition) order by 1 loop
        taken := not coalesce(partition = any (had), false);
        if not taken or pg_try_advisory_lock(forebay.ownership_key(source, topic, partition)) then
            return next;
        end if;
    end loop;
end
$$;
comment on function forebay.own(text, text, int4[], interval) is
    'Makes this session the owner of partitions, and answers of which, and whether it was not before: of those that nobody owns, after ending the sessions of writers that are dead or hang. Then claim them.';

create function forebay.disown(source text, topic text, partitions int4[]) returns setof int4
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select o.partition from forebay.owners(source, topic, partitions) o
    where o.backend_pid = pg_backend_pid()
      and pg_advisory_unlock(forebay.ownership_key(source, topic, o.partition))
$$;
comment on function forebay.disown(text, text, int4[]) is
    'Gives back what this session owns of these partitions, and answers what that was.';
