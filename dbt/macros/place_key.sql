{#- What two spellings of a place's name have in common: people type names padded and in capitals. -#}
{% macro place_key(column) -%}
    nullif(lower(btrim({{ column }})), '')
{%- endmacro %}
