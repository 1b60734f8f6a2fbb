-- Keeps rejected events; the arrays are parallel.
select forebay.record_dead_letters(
  source => $1::text,
  topics => $2::text[],
  partitions => $3::int4[],
  event_offsets => $4::int8[],
  event_timestamps => $5::int8[],
  keys => $6::bytea[],
  headers => $7::jsonb[],
  payloads => $8::bytea[],
  lanes => $9::text[],
  sqlstates => $10::text[],
  messages => $11::text[],
  targets => $12::text[],
  constraints => $13::text[])
