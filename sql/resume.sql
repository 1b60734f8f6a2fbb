create function forebay.resume(source text, topic text, partition int4, seen_next_offset int8, next_offset int8,
        cluster_id text default null) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '10 s'
as $$
#variable_conflict use_column
declare
    stored_next_offset int8;
begin
    if next_offset is null or next_offset < 0 then
        raise exception using errcode = '22023', message = 'resume needs an offset from 0 on';
    end if;
    select p.next_offset into stored_next_offset from forebay.progress p
    where p.source = resume.source and p.topic = resume.topic and p.partition = resume.partition
    for update;
    if not found then
        raise exception using errcode = '22023',
            message = format('source "%s" has no progress of topic "%s" partition %s', source, topic, resume.partition),
            hint = 'Only a partition that a writer has claimed can be resumed. Look at forebay.progress.';
    end if;
    if stored_next_offset is distinct from seen_next_offset then
        raise exception using errcode = '55000',
            message = format('progress is at offset %s, not at %s any more', stored_next_offset, seen_next_offset),
            hint = 'A writer is merging this partition. Look again, and decide anew.';
    end if;
    update forebay.progress p
    set next_offset = resume.next_offset, token = gen_random_uuid(), updated_at = clock_timestamp(),
        cluster_id = coalesce(resume.cluster_id, p.cluster_id),
        last_offset = null, last_timestamp = null, last_hash = null
    where p.source = resume.source and p.topic = resume.topic and p.partition = resume.partition;
end
$$;
comment on function forebay.resume(text, text, int4, int8, int8, text) is
    'Lets a partition go on at another offset: a person''s decision to skip or to repeat records. The last record is forgotten, so that the log may be another one. Fences whoever has the partition. Raises if progress is not at seen_next_offset any more.';

create function forebay.skip_unreadable(source text, topic text, partition int4, seen_next_offset int8,
        next_offset int8, sqlstate text, message text) returns int8
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
    recorded int8;
begin
    if seen_next_offset is null or next_offset is null or next_offset <= seen_next_offset then
        raise exception using errcode = '22023', message = 'skipping leads to a later offset';
    end if;
    perform forebay.resume(source, topic, partition, seen_next_offset, next_offset);
    insert into forebay.dead_letter as d (source, topic, partition, event_offset, sqlstate, message)
    select source, topic, partition, o.event_offset, sqlstate, message
    from generate_series(seen_next_offset, next_offset - 1) o(event_offset)
    on conflict on constraint dead_letter_source_topic_partition_event_offset_key do update
        set attempts = d.attempts + 1, last_seen = clock_timestamp(), sqlstate = excluded.sqlstate,
            message = excluded.message, target = null, "constraint" = null;
    get diagnostics recorded = row_count;
    return recorded;
end
$$;
comment on function forebay.skip_unreadable(text, text, int4, int8, int8, text, text) is
    'Goes on behind offsets that can''t be read: each becomes a dead letter without payload, in the transaction that moves progress. Returns how many.';
