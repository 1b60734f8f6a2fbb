-- From the last version without a retention time for dead letters, and whose targets did not say which
-- way their rows take. How an upgrade script is made:
-- it changes what is there into what `create extension` makes anew, and nothing else; the test
-- `lifecycle` compares the two object by object. Tables are altered, since they have data; functions
-- are replaced with `create or replace`, since others' objects may depend on them.

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

revoke all on function forebay.expire_dead_letters(text, interval, int4) from public;
grant execute on function forebay.expire_dead_letters(text, interval, int4) to forebay_writer;

alter table forebay.target rename to registration;
alter sequence forebay.target_id_seq rename to registration_id_seq;
alter table forebay.registration rename constraint target_pkey to registration_pkey;
alter table forebay.registration rename constraint target_relation_key to registration_relation_key;
alter table forebay.registration rename constraint target_on_conflict_check to registration_on_conflict_check;
comment on table forebay.registration is
    'The registered targets, as forebay.target shows them. Filled by forebay.add_target, never by hand.';
revoke all on forebay.registration from forebay_admin, forebay_writer;

alter function forebay.why_walked(oid, name[]) security definer;

create function forebay.by_triggers(target_relation oid, key name[]) returns jsonb
    language sql stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(k.conname, w.why) filter (where w.why is not null), '{}')
    from pg_constraint k
    cross join lateral (select coalesce(
        'rows are applied one by one: ' || forebay.why_walked(target_relation, key),
        forebay.why_by_triggers(k))) w(why)
    where k.contype = 'f' and k.conrelid = target_relation
      and not exists ( -- that of a partition that its parent's table has
        select from pg_constraint o where o.oid = k.conparentid and o.conrelid = k.conrelid)
$$;
comment on function forebay.by_triggers(oid, name[]) is
    'The foreign keys of a target that PostgreSQL''s triggers check, once for each row, each with the reason. A merge checks the others once for a set of rows.';

create view forebay.target as
    select r.id, r.relation, r.key, r.on_conflict, r.version, r.compare, r.created_at,
           case when r.on_conflict <> 'resolve' then forebay.why_walked(r.relation, r.key) end as why_walked,
           case when r.on_conflict <> 'resolve' then forebay.by_triggers(r.relation, r.key) end as by_triggers
    from forebay.registration r;
comment on view forebay.target is
    'The registered targets, and which way their rows take. Filled by forebay.add_target, never by hand.';
comment on column forebay.target.why_walked is
    'Why its rows are applied one by one. Null: they are merged as a set, as long as they do not interact.';
comment on column forebay.target.by_triggers is
    'Its foreign keys that PostgreSQL''s triggers check, once for each row, each with the reason. A merge checks the others once for a set of rows.';

revoke all on function forebay.by_triggers(oid, name[]) from public;
revoke all on forebay.target from public;
grant execute on function forebay.why_walked(oid, name[]), forebay.by_triggers(oid, name[])
    to forebay_admin, forebay_writer;
grant select on forebay.target to forebay_admin, forebay_writer;
