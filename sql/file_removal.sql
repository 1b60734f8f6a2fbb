create table forebay.file_removal (
    id int8 generated always as identity primary key,
    source text not null,
    created_at timestamptz not null default clock_timestamp(),
    root text not null,
    paths text[] not null,
    versions text[] not null
) with (vacuum_truncate = off);
comment on table forebay.file_removal is
    'Staged files of merged batches that are still to be removed from the staging root. A row commits with its batch, and goes when its files are gone. Not dumped, since the writer of the original removes them.';
comment on column forebay.file_removal.source is 'The stream of the batch.';
comment on column forebay.file_removal.created_at is 'When the batch was merged, shortly before its commit, by the primary''s clock.';
comment on column forebay.file_removal.root is 'The staging root.';
comment on column forebay.file_removal.paths is 'The files, relative to it.';
comment on column forebay.file_removal.versions is 'For each of them, what it was known by: another file in its place stays.';

create function forebay.record_file_removals(source text, root text, paths text[], versions text[]) returns int8
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    insert into forebay.file_removal as r (source, root, paths, versions)
    values (record_file_removals.source, record_file_removals.root, record_file_removals.paths,
            record_file_removals.versions)
    returning r.id
$$;
comment on function forebay.record_file_removals(text, text, text[], text[]) is
    'Keeps which staged files are to be removed once this transaction is committed. Called in that of their batch. Returns an id.';

create function forebay.next_file_removals(source text, root text, after int8)
    returns table (id int8, paths text[], versions text[])
    language sql
    stable
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    select r.id, r.paths, r.versions
    from forebay.file_removal r
    where r.source = next_file_removals.source and r.root = next_file_removals.root
      and r.id > next_file_removals.after
    order by r.id
    limit 1
$$;
comment on function forebay.next_file_removals(text, text, int8) is
    'The first removals of a source below this root whose id is greater, if there are any. They stay until ack_file_removals.';

create function forebay.ack_file_removals(id int8) returns int8
    language sql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
    with removed as (
        delete from forebay.file_removal r where r.id = ack_file_removals.id returning 1)
    select count(*) from removed
$$;
comment on function forebay.ack_file_removals(int8) is
    'Deletes removals that are done. Returns how many rows that were.';
