-- Roles belong to the cluster: they are made only where they are missing, and outlive the extension.
do $$
declare
    role_name name;
begin
    foreach role_name in array array['forebay_admin', 'forebay_writer', 'forebay_reader']::name[] loop
        begin
            if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
                execute pg_catalog.format('create role %I nologin', role_name);
            end if;
        exception when duplicate_object or unique_violation then
            null; -- another database of the cluster made it at the same moment
        end;
    end loop;
end
$$;

create schema forebay_staging;
comment on schema forebay_staging is
    'Forebay: unlogged staging tables, one per target and slot. Nothing in here outlives its transaction''s use.';

create function forebay.raise_error(error jsonb) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if error ->> 'detail' is null and error ->> 'hint' is null then
        raise exception using errcode = error ->> 'sqlstate', message = error ->> 'message';
    elsif error ->> 'detail' is null then
        raise exception using errcode = error ->> 'sqlstate', message = error ->> 'message',
            hint = error ->> 'hint';
    elsif error ->> 'hint' is null then
        raise exception using errcode = error ->> 'sqlstate', message = error ->> 'message',
            detail = error ->> 'detail';
    else
        raise exception using errcode = error ->> 'sqlstate', message = error ->> 'message',
            detail = error ->> 'detail', hint = error ->> 'hint';
    end if;
end
$$;
comment on function forebay.raise_error(jsonb) is
    'Raises the error that a function of the library returned as JSON: pgrx can raise only the SQLSTATEs that PostgreSQL lists.';
