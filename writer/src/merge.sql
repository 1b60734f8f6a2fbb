-- Merges a batch. The composites travel as parallel arrays.
select forebay.merge(
  slot => $1::int4,
  source => $2::text,
  advances => array(
    select row(a.topic, a.partition, a.token, a.from_offset, a.next_offset, a.last_offset,
               a.last_timestamp, a.last_hash)::forebay.advance
    from unnest($3::text[], $4::int4[], $5::uuid[], $6::int8[], $7::int8[], $8::int8[], $9::int8[],
                $10::bytea[])
      as a(topic, partition, token, from_offset, next_offset, last_offset, last_timestamp,
           last_hash)),
  staged => array(
    select row(s.relation::regclass, s.rows)::forebay.staged
    from unnest($11::oid[], $12::int8[]) as s(relation, rows)),
  rejected => $13::int4[],
  suspected => $14::text,
  ordered => $15::oid[]::regclass[])
