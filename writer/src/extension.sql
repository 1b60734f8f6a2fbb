-- The session's role, and what of the writer's needs it may not do.
select current_user::text,
  array(
    select 'use schema ' || n.nspname from pg_namespace n
    where n.nspname in ('forebay', 'forebay_staging') and not has_schema_privilege(n.oid, 'usage')
    union all
    select 'read forebay.' || c.relname from pg_class c
    where c.relnamespace = 'forebay'::regnamespace and c.relname in ('target', 'staged_column', 'progress')
      and not has_table_privilege(c.oid, 'select')
    union all
    select 'execute forebay.' || p.proname from pg_proc p
    where p.pronamespace = 'forebay'::regnamespace
      and p.proname in ('server_identity', 'heartbeat', 'open_session', 'owners', 'own', 'disown', 'claim',
        'stage', 'merge', 'record_dead_letters', 'expire_dead_letters',
        'butler_begin', 'butler_resolve',
        'record_outbox', 'take_outbox', 'ack_outbox', 'outbox_backlog',
        'record_file_removals', 'next_file_removals', 'ack_file_removals')
      and not has_function_privilege(p.oid, 'execute')
    order by 1)
