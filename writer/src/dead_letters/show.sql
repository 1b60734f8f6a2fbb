-- One dead letter by its id or its event's position: one for each source that read it.
select d.id, d.source, d.topic, d.partition, d.event_offset,
  to_char(d.event_timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as event_timestamp,
  d.key, d.headers, d.payload, d.lane, d.sqlstate, d.message, d.target, d."constraint", d.attempts,
  to_char(d.first_seen at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as first_seen,
  to_char(d.last_seen at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as last_seen,
  d.state
from forebay.dead_letter d
where (d.id = $1::int8 or (d.topic = $2::text and d.partition = $3::int4 and d.event_offset = $4::int8))
  and ($5::text is null or d.source = $5)
order by d.source
