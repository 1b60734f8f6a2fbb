create function forebay.forget_dropped_targets() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    dropped oid;
begin
    for dropped in
        select o.objid
        from pg_event_trigger_dropped_objects() o
        join forebay.target t on t.relation::oid = o.objid
        where o.classid = 'pg_class'::regclass and o.objsubid = 0
    loop
        perform forebay.forget_target(dropped);
    end loop;
end
$$;
comment on function forebay.forget_dropped_targets() is
    'Forgets targets whose table is dropped, and drops their staging tables: those do not depend on the table, so that it can be dropped.';

create event trigger forebay_forget_dropped_targets on sql_drop
    execute function forebay.forget_dropped_targets();
comment on event trigger forebay_forget_dropped_targets is
    'Forebay: forgets targets whose table is dropped.';
