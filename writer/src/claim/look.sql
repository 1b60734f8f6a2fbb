-- The server that this is, and the progress of a source; one row without a partition if it has none.
select s.timeline, s.system_identifier, p.topic, p.partition, p.token, p.next_offset
from forebay.server_identity() s
left join forebay.progress p on p.source = $1::text
