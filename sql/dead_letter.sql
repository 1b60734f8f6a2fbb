create table forebay.dead_letter (
    id int8 generated always as identity primary key,
    source text not null,
    topic text not null,
    partition int4 not null,
    event_offset int8 not null,
    event_timestamp timestamptz,
    key bytea,
    headers jsonb,
    payload bytea,
    lane text,
    sqlstate text not null,
    message text not null,
    target text,
    "constraint" text,
    attempts int4 not null default 1,
    first_seen timestamptz not null default clock_timestamp(),
    last_seen timestamptz not null default clock_timestamp(),
    state text not null default 'dead' check (state in ('dead')),
    unique (source, topic, partition, event_offset)
) with (vacuum_truncate = off);
comment on table forebay.dead_letter is
    'Rejected events, kept whole, with the reason. They commit in the same transaction as their neighbours'' data.';
comment on column forebay.dead_letter.source is 'The stream of the event.';
comment on column forebay.dead_letter.topic is 'The Kafka topic of the event.';
comment on column forebay.dead_letter.partition is 'Its partition.';
comment on column forebay.dead_letter.event_offset is 'Its offset.';
comment on column forebay.dead_letter.event_timestamp is 'Its Kafka timestamp.';
comment on column forebay.dead_letter.key is 'Its key, byte for byte.';
comment on column forebay.dead_letter.headers is 'Its headers in order: [{"key": text, "value": base64 or null}].';
comment on column forebay.dead_letter.payload is 'Its value, byte for byte. Null for a tombstone.';
comment on column forebay.dead_letter.lane is 'Its lane, where lanes are configured.';
comment on column forebay.dead_letter.sqlstate is 'Why it was rejected: the SQLSTATE.';
comment on column forebay.dead_letter.message is 'Why it was rejected: the message.';
comment on column forebay.dead_letter.target is 'The table that refused it.';
comment on column forebay.dead_letter."constraint" is 'The constraint that refused it.';
comment on column forebay.dead_letter.attempts is 'How often it was tried.';
comment on column forebay.dead_letter.first_seen is 'When it was rejected first.';
comment on column forebay.dead_letter.last_seen is 'When it was rejected last.';
comment on column forebay.dead_letter.state is 'dead: waits for a person.';
select pg_catalog.pg_extension_config_dump('forebay.dead_letter', '');
select pg_catalog.pg_extension_config_dump('forebay.dead_letter_id_seq', '');

create function forebay.record_dead_letters(source text, topics text[], partitions int4[], event_offsets int8[],
        event_timestamps int8[], keys bytea[], headers jsonb[], payloads bytea[], lanes text[],
        sqlstates text[], messages text[], targets text[], constraints text[]) returns int8
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    with recorded as (
        insert into forebay.dead_letter as d (source, topic, partition, event_offset, event_timestamp, key, headers,
                payload, lane, sqlstate, message, target, "constraint")
        select record_dead_letters.source, l.topic, l.partition, l.event_offset,
               to_timestamp(l.event_timestamp / 1000.0), l.key, l.headers, l.payload, l.lane,
               l.sqlstate, l.message, l.target, l."constraint"
        from unnest(topics, partitions, event_offsets, event_timestamps, keys, headers, payloads, lanes,
                    sqlstates, messages, targets, constraints)
             as l(topic, partition, event_offset, event_timestamp, key, headers, payload, lane,
                  sqlstate, message, target, "constraint")
        on conflict (source, topic, partition, event_offset) do update
            set attempts = d.attempts + 1, last_seen = clock_timestamp(), sqlstate = excluded.sqlstate,
                message = excluded.message, target = excluded.target, "constraint" = excluded."constraint"
        returning 1)
    select count(*) from recorded
$$;
comment on function forebay.record_dead_letters(text, text[], int4[], int8[], int8[], bytea[], jsonb[], bytea[], text[], text[], text[], text[], text[]) is
    'Keeps rejected events as dead letters; the arrays are parallel. Called in the transaction of the batch. Returns how many.';
