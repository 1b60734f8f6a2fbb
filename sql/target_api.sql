create function forebay.add_target(relation regclass, key name[] default null, on_conflict text default 'update',
        version name default null, compare name[] default null) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    error jsonb := forebay.add_target_as_caller(relation::oid, key::text[], on_conflict, version::text, compare::text[]);
begin
    if error is not null then
        perform forebay.raise_error(error);
    end if;
end
$$;
comment on function forebay.add_target(regclass, name[], text, name, name[]) is
    'Registers a table as a target, or changes its registration. Only the table''s owner may. The key defaults to the primary key.';

create function forebay.drop_target(relation regclass) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    error jsonb := forebay.drop_target_as_caller(relation::oid);
begin
    if error is not null then
        perform forebay.raise_error(error);
    end if;
end
$$;
comment on function forebay.drop_target(regclass) is
    'Forgets a target and drops its staging tables. Only the table''s owner may.';
