create function forebay_staging.input(literal text, of_type anyelement, type_modifier int4) returns anyelement
    language c
    stable
    as 'MODULE_PATHNAME', 'forebay_input';
comment on function forebay_staging.input(text, anyelement, int4) is
    'The value of a type of which this is the input literal, as a literal in a statement would be. For columns that are staged as text; the owners of targets call it.';
