-- Takes a topic's partitions for this session.
select partition, token, next_offset, last_offset, last_timestamp, last_hash, first_seen
from forebay.claim(
  source => $1::text,
  topic => $2::text,
  partitions => $3::int4[],
  initial_offsets => $4::int8[],
  claimant => $5::text,
  cluster_id => $6::text)
