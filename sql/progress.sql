create type forebay.advance as (
    topic text,
    partition int4,
    token uuid,
    from_offset int8,
    next_offset int8,
    last_offset int8,
    last_timestamp int8,
    last_hash bytea
);
comment on type forebay.advance is
    'How far a merge moves one partition: by compare-and-swap from (token, from_offset) to next_offset. The last record''s offset, timestamp (milliseconds since 1970) and XXH3-128 hash are kept beside it; null where the advance has no record.';

create table forebay.progress (
    source text not null,
    topic text not null,
    partition int4 not null,
    next_offset int8 not null check (next_offset >= 0),
    token uuid not null,
    updated_at timestamptz not null default clock_timestamp(),
    claimant text,
    backend_pid int4,
    backend_start timestamptz,
    cluster_id text,
    last_offset int8,
    last_timestamp int8,
    last_hash bytea,
    primary key (source, topic, partition)
) with (fillfactor = 50, vacuum_truncate = off);
comment on table forebay.progress is
    'How far each partition is merged. It commits with the data, so replicas show exactly what their tables hold.';
comment on column forebay.progress.source is 'The stream that the partition belongs to.';
comment on column forebay.progress.topic is 'The Kafka topic.';
comment on column forebay.progress.partition is 'The partition of the topic.';
comment on column forebay.progress.next_offset is 'The next offset to read: everything before it is merged or a dead letter.';
comment on column forebay.progress.token is 'The random fence of the last claim. A merge with another token aborts.';
comment on column forebay.progress.updated_at is 'When the row changed last, by the primary''s clock.';
comment on column forebay.progress.claimant is 'What the claiming writer calls itself.';
comment on column forebay.progress.backend_pid is 'The server process of the claiming session.';
comment on column forebay.progress.backend_start is 'When that server process started; with the pid it names one session.';
comment on column forebay.progress.cluster_id is 'The Kafka cluster that the offsets belong to.';
comment on column forebay.progress.last_offset is 'The offset of the last record.';
comment on column forebay.progress.last_timestamp is 'The timestamp of the last record, in milliseconds since 1970.';
comment on column forebay.progress.last_hash is 'XXH3-128 of the last record''s length-prefixed key and value.';
select pg_catalog.pg_extension_config_dump('forebay.progress', '');

create view forebay.watermark as
    select p.source, p.topic, p.partition, p.next_offset, p.updated_at,
           pg_catalog.clock_timestamp() - p.updated_at as age,
           pg_catalog.pg_is_in_recovery() as in_recovery,
           case when not pg_catalog.pg_is_in_recovery() then null
                when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then interval '0'
                else pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()
           end as replay_lag,
           case when pg_catalog.pg_is_in_recovery() then
                pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(),
                                           pg_catalog.pg_last_wal_replay_lsn())::int8
           end as replay_lag_bytes
    from forebay.progress p;
comment on view forebay.watermark is
    'What a reader here can see: per partition, everything before next_offset. On a replica with how far its replay is behind what it received.';
