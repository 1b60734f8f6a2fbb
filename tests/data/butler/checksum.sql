-- One line per table of a Butler repository in schema public: its name, its rows, and an MD5 over
-- them all, whatever their order. Left out are the tables of overlaps with the sky's pixels, and
-- dataset.ingest_date, which is the time of the ingest. All else is decided by what was ingested:
-- the sample's dataset types and run, which have surrogate ids, are registered in schema.sql.
select
    relation.relname::text as "table",
    (xpath('/row/rows/text()', answer.xml))[1]::text::int8 as rows,
    coalesce((xpath('/row/checksum/text()', answer.xml))[1]::text, '-') as checksum
from pg_catalog.pg_class as relation
-- A row is written as PostgreSQL writes composites: every type's own text, nulls apart from
-- empty strings.
cross join lateral (
    select string_agg(format('row_.%I', attname), ', ' order by attnum) as list
    from pg_catalog.pg_attribute
    where attrelid = relation.oid
        and attnum > 0
        and not attisdropped
        and (relation.relname, attname) <> ('dataset', 'ingest_date')
) as columns
cross join lateral (
    select query_to_xml(
        format(
            'select count(*) as rows, md5(string_agg(line, e''\n'' order by line collate "C")) '
            'as checksum from (select row(%s)::text as line from %s as row_) as lines',
            columns.list,
            relation.oid::regclass
        ),
        nulls => false,
        tableforest => true,
        targetns => ''
    ) as xml
) as answer
where relation.relnamespace = 'public'::regnamespace
    and relation.relkind = 'r'
    and relation.relname !~ '_overlap'
order by relation.relname collate "C"
