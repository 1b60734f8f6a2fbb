select f.id, f.source, f.topic, f.partition, f.event_offset, f.sqlstate, f.message, f.target, f."constraint",
  f.attempts, to_char(f.last_seen at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_seen,
  coalesce(octet_length(f.payload), 0)::int8 as payload_bytes, count(*) over () as total
from filtered f
order by f.last_seen desc, f.id desc
limit $7::int8
