create table forebay.outbox (
    sequence int8 generated always as identity,
    id uuid not null default gen_random_uuid() unique,
    source text not null,
    created_at timestamptz not null default clock_timestamp(),
    positions jsonb not null,
    said jsonb not null,
    bytes int4 not null,
    primary key (source, sequence)
) with (vacuum_truncate = off);
comment on table forebay.outbox is
    'What merged batches have to say to an outgoing topic. A row commits with its batch, and goes when the broker has acknowledged it. Logged, so that a promoted replica publishes what it has; not dumped, since the writer of the original publishes it.';
comment on column forebay.outbox.sequence is 'The order of publication within a source: that of commit within each partition.';
comment on column forebay.outbox.id is 'The batch''s id in its messages.';
comment on column forebay.outbox.source is 'The stream of the batch.';
comment on column forebay.outbox.created_at is 'When the batch was merged, shortly before its commit, by the primary''s clock.';
comment on column forebay.outbox.positions is 'What the batch has merged, rejected events included: [{"topic", "partition", "token", "from_offset", "next_offset"}], the first offset and the one after the last.';
comment on column forebay.outbox.said is 'What the format wants said. Butler: {"datasets": [uuid, …]} of the accepted events.';
comment on column forebay.outbox.bytes is 'The length of said as text.';

create function forebay.record_outbox(source text, topics text[], partitions int4[], tokens uuid[],
        from_offsets int8[], next_offsets int8[], said jsonb) returns uuid
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    insert into forebay.outbox as o (source, positions, said, bytes)
    select record_outbox.source,
           (select jsonb_agg(jsonb_build_object('topic', p.topic, 'partition', p.partition, 'token', p.token,
                        'from_offset', p.from_offset, 'next_offset', p.next_offset)
                    order by p.topic, p.partition)
            from unnest(topics, partitions, tokens, from_offsets, next_offsets)
                 as p(topic, partition, token, from_offset, next_offset)),
           record_outbox.said, octet_length(record_outbox.said::text)
    returning o.id
$$;
comment on function forebay.record_outbox(text, text[], int4[], uuid[], int8[], int8[], jsonb) is
    'Keeps what a batch has to say; the arrays are parallel. Called in the transaction of the batch, after the merge. Returns its id.';

create function forebay.take_outbox(source text, max_bytes int8, max_rows int4 default 1000)
    returns table (id uuid, created_at timestamptz, positions jsonb, said jsonb)
    language sql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select o.id, o.created_at, o.positions, o.said
    from (select f.sequence, sum(f.bytes) over (order by f.sequence) - f.bytes as before
          from (select o.sequence, o.bytes from forebay.outbox o
                where o.source = take_outbox.source
                order by o.sequence limit max_rows) f) w
    join forebay.outbox o on o.source = take_outbox.source and o.sequence = w.sequence
    where w.before < max_bytes
    order by o.sequence
$$;
comment on function forebay.take_outbox(text, int8, int4) is
    'The rows of a source to publish next, in order: one at least, and others as long as those before them have less than max_bytes. They stay until ack_outbox; that no two publish them is for forebay.own to see to.';

create function forebay.ack_outbox(ids uuid[]) returns int8
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    with published as (
        delete from forebay.outbox o where o.id = any (ids) returning 1)
    select count(*) from published
$$;
comment on function forebay.ack_outbox(uuid[]) is
    'Deletes rows that the broker has acknowledged. Returns how many.';

create function forebay.seen_outbox(ids uuid[]) returns setof uuid
    language sql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select o.id from forebay.outbox o where o.id = any (ids)
$$;
comment on function forebay.seen_outbox(uuid[]) is
    'Which of these rows are here. On a replica: whose batches a reader sees there.';

create function forebay.outbox_backlog(source text, out waiting int8, out oldest_seconds float8)
    language sql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select count(*), coalesce(extract(epoch from clock_timestamp() - min(o.created_at)), 0)::float8
    from forebay.outbox o where o.source = outbox_backlog.source
$$;
comment on function forebay.outbox_backlog(text) is
    'How many rows of a source wait to be published, and how old the oldest is, in seconds.';
