select f.source, f.topic, f.sqlstate, f.target, f."constraint", count(*) as dead_letters,
  to_char(min(f.first_seen) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_seen,
  to_char(max(f.last_seen) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_seen,
  count(*) over () as total
from filtered f
group by f.source, f.topic, f.sqlstate, f.target, f."constraint"
order by count(*) desc, f.source, f.topic, f.sqlstate, f.target, f."constraint"
limit $7::int8
