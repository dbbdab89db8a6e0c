{#-
What two spellings of a place's name have in common: people type names padded, in capitals, with accents as marks of
their own or with spaces that are none. Unicode's compatibility form, in lower case by ICU's root collation, so that it
is the same on a database of any locale.
-#}
{% macro place_key(column) -%}
    nullif(lower(btrim(regexp_replace(normalize({{ column }}, NFKC), '\s+', ' ', 'g')) collate "und-x-icu"), '')
{%- endmacro %}
