-- The dead letters that a person asks for.
select d.* from forebay.dead_letter d
where ($1::text is null or d.source = $1)
  and ($2::text is null or d.topic = $2)
  and ($3::int4 is null or d.partition = $3)
  and ($4::text is null or d.target = $4)
  and ($5::text is null or d.sqlstate = $5)
  and ($6::text is null or d.last_seen >= $6::text::timestamptz)
