create index dead_letter_source_last_seen_idx on forebay.dead_letter (source, last_seen);
comment on index forebay.dead_letter_source_last_seen_idx is
    'For the retention time, and for looking at the newest.';

create function forebay.expire_dead_letters(source text, retention interval, batch int4 default 1000) returns int8
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    expired int8;
begin
    if retention is null or retention <= '0' or batch is null or batch <= 0 then
        raise exception using errcode = '22023',
            message = 'expire_dead_letters needs a retention time and a number of rows above zero';
    end if;
    with old as (
        select d.id from forebay.dead_letter d
        where d.source = expire_dead_letters.source and d.last_seen < clock_timestamp() - retention
        order by d.last_seen
        limit batch
        for update skip locked)
    delete from forebay.dead_letter d using old where d.id = old.id;
    get diagnostics expired = row_count;
    return expired;
end
$$;
comment on function forebay.expire_dead_letters(text, interval, int4) is
    'Deletes dead letters of a source that were rejected last longer ago than the retention time, the oldest first, so many at most. Returns how many: call it again while that is as many as it may.';
