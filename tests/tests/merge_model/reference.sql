-- What a stream means, the slow and obvious way: each event alone, in a savepoint of its own, row by row.
--
-- A table is {name, policy, key, version, compare, types: {column: type}}, a row {table, delete,
-- values: {column: literal}}. Names are quoted already.

create function model.value(target jsonb, staged jsonb, column_name text) returns text
    language sql immutable
as $$
    select format('cast(%L as %s)', staged -> 'values' ->> column_name, target -> 'types' ->> column_name)
$$;
comment on function model.value(jsonb, jsonb, text) is 'The value of a column, as an expression.';

create function model.insert_row(target jsonb, staged jsonb) returns void
    language plpgsql
as $$
begin
    if staged -> 'values' = '{}' then
        execute format('insert into %s default values', target ->> 'name');
    else
        execute (
            select format('insert into %s (%s) values (%s)', target ->> 'name',
                          string_agg(c, ', '), string_agg(model.value(target, staged, c), ', '))
            from jsonb_object_keys(staged -> 'values') c);
    end if;
end
$$;
comment on function model.insert_row(jsonb, jsonb) is
    'Inserts a row. Columns that it does not name take their defaults.';

create function model.update_row(target jsonb, staged jsonb, same_key text) returns void
    language plpgsql
as $$
declare
    assignments text := (
        select string_agg(format('%s = %s', c, model.value(target, staged, c)), ', ')
        from jsonb_object_keys(staged -> 'values') c
        where not target -> 'key' ? c);
begin
    if assignments is not null then
        execute format('update %s set %s where %s', target ->> 'name', assignments, same_key);
    end if;
end
$$;
comment on function model.update_row(jsonb, jsonb, text) is
    'Updates a row. Columns that the event does not name keep their values, and so does the key.';

create function model.is_true(target jsonb, condition text, same_key text) returns boolean
    language plpgsql
as $$
declare
    answer boolean;
begin
    execute format('select %s from %s where %s', condition, target ->> 'name', same_key) into answer;
    return coalesce(answer, false);
end
$$;
comment on function model.is_true(jsonb, text, text) is 'Whether there is such a row, and the condition holds for it.';

create function model.is_identical(target jsonb, staged jsonb, same_key text) returns boolean
    language plpgsql
as $$
declare
    column_name text;
begin
    for column_name in
        select c from jsonb_object_keys(staged -> 'values') c
        where target -> 'compare' ? c
    loop
        if not model.is_true(target, format('%s is not distinct from %s', column_name,
                                            model.value(target, staged, column_name)), same_key) then
            return false;
        end if;
    end loop;
    return true;
end
$$;
comment on function model.is_identical(jsonb, jsonb, text) is
    'Whether the stored row equals the event''s in all compared columns that the event names.';

create function model.apply_row(target jsonb, staged jsonb) returns void
    language plpgsql
as $$
declare
    policy text := target ->> 'policy';
    version text := target ->> 'version';
    is_delete boolean := (staged ->> 'delete')::boolean;
    same_key text := (
        select string_agg(format('%s = %s', k, model.value(target, staged, k)), ' and ')
        from jsonb_array_elements_text(target -> 'key') k);
begin
    if policy = 'append' then
        if is_delete then
            raise invalid_parameter_value using message = 'no key to delete by';
        end if;
        perform model.insert_row(target, staged);
        return;
    end if;
    if exists (select from jsonb_array_elements_text(target -> 'key') k where staged -> 'values' ->> k is null) then
        raise not_null_violation using message = 'a key that is null';
    end if;
    if is_delete then
        -- A key that is no value of its type is a fault also where no partition could hold it.
        execute 'select ' || (select string_agg(model.value(target, staged, k), ', ')
                              from jsonb_array_elements_text(target -> 'key') k);
        execute format('delete from %s where %s', target ->> 'name', same_key);
        return;
    end if;
    if policy = 'newest' and not staged -> 'values' ? version then
        raise null_value_not_allowed using message = 'no version';
    end if;
    if not model.is_true(target, 'true', same_key) then
        perform model.insert_row(target, staged);
        return;
    end if;
    case policy
        when 'update' then
            perform model.update_row(target, staged, same_key);
        when 'newest' then
            if model.is_true(target, format('%s is null or %1$s < %s', version,
                                            model.value(target, staged, version)), same_key) then
                perform model.update_row(target, staged, same_key);
            end if;
        when 'identical' then
            if not model.is_identical(target, staged, same_key) then
                raise unique_violation using message = 'not identical';
            end if;
        when 'insert' then
            raise unique_violation using message = 'stored already';
        when 'ignore' then
            null;
    end case;
end
$$;
comment on function model.apply_row(jsonb, jsonb) is 'Applies one row of an event, or raises.';

create function model.violation(message text, state text, constraint_name text) returns jsonb
    language plpgsql
as $$
begin
    if state !~ '^2[23]' then
        raise exception 'the reference itself fails: % (%)', message, state;
    end if;
    return jsonb_build_array(state, constraint_name);
end
$$;
comment on function model.violation(text, text, text) is 'What an event was rejected for: [SQLSTATE, constraint].';

create function model.violations(tables jsonb, foreign_keys text[], event jsonb) returns jsonb
    language plpgsql
as $$
declare
    staged jsonb;
    value text;
    foreign_key text;
    state text;
    constraint_name text;
    found jsonb := '[]';
begin
    begin
        for value in
            select model.value(tables -> (r ->> 'table')::int4, r, c)
            from jsonb_array_elements(event) r, jsonb_object_keys(r -> 'values') c
        loop
            begin
                execute 'select ' || value;
            exception when others then
                get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name;
                found := found || jsonb_build_array(model.violation(sqlerrm, state, constraint_name));
            end;
        end loop;
        for staged in select r from jsonb_array_elements(event) r loop
            begin
                perform model.apply_row(tables -> (staged ->> 'table')::int4, staged);
            exception when others then
                get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name;
                found := found || jsonb_build_array(model.violation(sqlerrm, state, constraint_name));
            end;
        end loop;
        foreach foreign_key in array foreign_keys loop
            begin
                execute format('set constraints %s immediate', foreign_key);
            exception when others then
                get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name;
                found := found || jsonb_build_array(model.violation(sqlerrm, state, constraint_name));
            end;
        end loop;
        raise exception using errcode = 'MODEL';
    exception when sqlstate 'MODEL' then
        return found;
    end;
end
$$;
comment on function model.violations(jsonb, text[], jsonb) is
    'What else is wrong with an event that was rejected: its values, rows and foreign keys, each by itself. Leaves nothing.';

create function model.apply(tables jsonb, foreign_keys text[], events jsonb) returns jsonb
    language plpgsql
as $$
declare
    event record;
    staged jsonb;
    state text;
    constraint_name text;
    rejected jsonb := '{}';
begin
    for event in select (e.number - 1)::text as number, e.rows
                 from jsonb_array_elements(events) with ordinality e(rows, number) order by e.number
    loop
        begin
            set constraints all deferred;
            for staged in select r from jsonb_array_elements(event.rows) r loop
                perform model.apply_row(tables -> (staged ->> 'table')::int4, staged);
            end loop;
            set constraints all immediate;
        exception when others then
            get stacked diagnostics state = returned_sqlstate, constraint_name = constraint_name;
            rejected := rejected || jsonb_build_object(event.number,
                jsonb_build_array(model.violation(sqlerrm, state, constraint_name))
                || model.violations(tables, foreign_keys, event.rows));
        end;
    end loop;
    return rejected;
end
$$;
comment on function model.apply(jsonb, text[], jsonb) is
    'Applies a stream. Answers {event: [[SQLSTATE, constraint], …]} for the events that are rejected; what was met first comes first.';
