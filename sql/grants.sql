revoke all on all functions in schema forebay from public;
revoke all on all procedures in schema forebay from public;
revoke all on all tables in schema forebay from public;

grant usage on schema forebay to forebay_admin, forebay_writer, forebay_reader;
grant usage on schema forebay_staging to public;

grant execute on function
    forebay.add_target(regclass, name[], text, name, name[]),
    forebay.add_target_as_caller(oid, text[], text, text, text[]),
    forebay.drop_target(regclass),
    forebay.drop_target_as_caller(oid),
    forebay.raise_error(jsonb),
    forebay.butler_add_targets(regnamespace)
    to forebay_admin;
grant select on forebay.target, forebay.progress, forebay.dead_letter, forebay.outbox, forebay.file_removal, forebay.watermark,
    forebay.writer_heartbeat, forebay.writer_session to forebay_admin;

grant execute on function
    forebay.server_identity(),
    forebay.heartbeat(uuid, text, text, boolean, interval),
    forebay.open_session(uuid, int4),
    forebay.owners(text, text, int4[], interval),
    forebay.own(text, text, int4[], interval),
    forebay.disown(text, text, int4[]),
    forebay.claim(text, text, int4[], int8[], text, text, interval),
    forebay.stage(regclass[]),
    forebay.merge(int4, text, forebay.advance[], forebay.staged[], int4[], text, regclass[]),
    forebay.merge_fenced(int4, text, forebay.advance[], forebay.staged[], int4[], text, regclass[]),
    forebay.butler_repository(text),
    forebay.butler_other_overlaps(text),
    forebay.butler_begin(text),
    forebay.butler_register(text, jsonb),
    forebay.butler_resolve(int4, text, int8, int8, text[], text[], text[], int4[]),
    forebay.butler_finish(int4[]),
    forebay.record_dead_letters(text, text[], int4[], int8[], int8[], bytea[], jsonb[], bytea[], text[], text[], text[], text[], text[]),
    forebay.expire_dead_letters(text, interval, int4),
    forebay.record_outbox(text, text[], int4[], uuid[], int8[], int8[], jsonb),
    forebay.take_outbox(text, int8, int4),
    forebay.ack_outbox(uuid[]),
    forebay.outbox_backlog(text),
    forebay.record_file_removals(text, text, text[], text[]),
    forebay.next_file_removals(text, text, int8),
    forebay.ack_file_removals(int8)
    to forebay_writer;
grant execute on function forebay.why_walked(oid, name[]), forebay.by_triggers(oid, name[])
    to forebay_admin, forebay_writer;
grant execute on function forebay.seen_outbox(uuid[]) to forebay_writer, forebay_reader;
grant select on forebay.target, forebay.staged_column, forebay.progress to forebay_writer;
grant execute on function
    forebay.resume(text, text, int4, int8, int8, text),
    forebay.skip_unreadable(text, text, int4, int8, int8, text, text)
    to forebay_admin, forebay_writer;

grant select on forebay.progress, forebay.watermark to forebay_reader;
grant execute on function forebay.outcome(text, text, int4, int8) to forebay_reader;
grant execute on procedure forebay.wait_for(text, text, int4, int8, interval, text) to forebay_reader;
