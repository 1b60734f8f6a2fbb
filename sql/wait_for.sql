create function forebay.outcome(source text, topic text, partition int4, event_offset int8) returns text
    language sql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select case when d.event_offset is null then 'merged' else 'rejected' end
    from forebay.progress p
    left join forebay.dead_letter d
        on d.source = p.source and d.topic = p.topic and d.partition = p.partition
       and d.event_offset = outcome.event_offset
    where p.source = outcome.source and p.topic = outcome.topic and p.partition = outcome.partition
      and p.next_offset > outcome.event_offset
$$;
comment on function forebay.outcome(text, text, int4, int8) is
    'What has become of an event, as far as this server knows: merged, rejected, or null for not yet.';

create procedure forebay.wait_for(source text, topic text, partition int4, event_offset int8, timeout interval,
        inout outcome text default null)
    language c -- not security definer, which may not end its transaction: outcome is
    as 'MODULE_PATHNAME', 'forebay_wait_for';
comment on procedure forebay.wait_for(text, text, int4, int8, interval, text) is
    'Returns as soon as the outcome of that event is visible to the caller''s next statement: merged, rejected; timeout else. Holds no snapshot while it sleeps.';
