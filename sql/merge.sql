create type forebay.staged as (
    relation regclass,
    rows int8
);
comment on type forebay.staged is 'How many rows the writer has staged for a target in this transaction.';

create function forebay.advance_progress(source text, advances forebay.advance[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    fenced text;
begin
    if coalesce(cardinality(advances), 0) = 0
       or exists (select from unnest(advances) a where a.next_offset < a.from_offset) then
        raise exception using errcode = '22023', message = 'a merge advances at least one partition, and none backwards';
    end if;
    perform from forebay.progress p
    join unnest(advances) a on a.topic = p.topic and a.partition = p.partition
    where p.source = advance_progress.source
    order by p.topic, p.partition
    for update of p;
    with moved as (
        update forebay.progress p
        set next_offset = a.next_offset, updated_at = clock_timestamp(),
            last_offset = coalesce(a.last_offset, p.last_offset),
            last_timestamp = case when a.last_offset is null then p.last_timestamp else a.last_timestamp end,
            last_hash = case when a.last_offset is null then p.last_hash else a.last_hash end
        from unnest(advances) a
        where p.source = advance_progress.source and p.topic = a.topic and p.partition = a.partition
          and p.token = a.token and p.next_offset = a.from_offset
        returning p.topic, p.partition)
    select string_agg(format('%s/%s at %s', a.topic, a.partition, a.from_offset), ', ' order by a.topic, a.partition)
    into fenced
    from unnest(advances) a
    where not exists (select from moved m where m.topic = a.topic and m.partition = a.partition);
    if fenced is not null then
        raise exception using errcode = 'FB001',
            message = format('fenced: another writer has claimed partitions of source "%s"', source),
            detail = fenced,
            hint = 'Claim again, and go on at the offsets that the claim returns.';
    end if;
end
$$;
comment on function forebay.advance_progress(text, forebay.advance[]) is
    'Moves progress by compare-and-swap on (token, next_offset), in order of (topic, partition). FB001 if any row was claimed or moved by another.';

create function forebay.merge_fenced(slot int4, source text, advances forebay.advance[], staged forebay.staged[],
        rejected int4[], suspected text, ordered regclass[]) returns jsonb
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    set jit = off -- the statements are short
as $$
declare
    started timestamptz := clock_timestamp();
    fenced_at timestamptz;
    answer jsonb;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception using errcode = '55000', message = 'forebay.merge runs in read committed transactions only';
    end if;
    perform forebay.advance_progress(source, advances);
    fenced_at := clock_timestamp();
    answer := forebay.merge_staged(
        slot,
        array(select s.relation::oid from unnest(staged) s order by s.relation::oid),
        array(select s.rows from unnest(staged) s order by s.relation::oid),
        coalesce(rejected, '{}'),
        suspected,
        coalesce(ordered, '{}'));
    if answer ? 'error' then
        perform forebay.raise_error(answer -> 'error');
    end if;
    return jsonb_set(answer, '{seconds,fence}',
        to_jsonb(round(extract(epoch from fenced_at - started)::numeric, 6)));
end
$$;
comment on function forebay.merge_fenced(int4, text, forebay.advance[], forebay.staged[], int4[], text, regclass[]) is
    'The part of merge that runs as the extension''s owner.';

create function forebay.merge(slot int4, source text, advances forebay.advance[], staged forebay.staged[],
        rejected int4[] default '{}', suspected text default null, ordered regclass[] default '{}') returns jsonb
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- A deferred trigger cannot fire where the targets are written. Those that wait already, of
    -- whatever the caller has written itself, fire here: with the caller's rights, no others.
    set constraints all immediate;
    return forebay.merge_fenced(slot, source, advances, staged, rejected, suspected, ordered);
end
$$;
comment on function forebay.merge(int4, text, forebay.advance[], forebay.staged[], int4[], text, regclass[]) is
    'Merges what this transaction has staged in the slot, and advances progress, or raises. Answers per target what was inserted, updated, unchanged, deleted, and which events were rejected and why. An event that raises the SQLSTATE suspected is rejected, too, if others of the batch are merged. The rows of the targets ordered were staged in the order of their keys, and are not sorted: what that says changes how fast the merge is, not what it does.';
