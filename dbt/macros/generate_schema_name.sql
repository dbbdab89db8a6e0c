{#- The schema a model asks for is the schema it gets, whatever the target's own schema is; in an environment, with its end. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set environment = env_var('TERRANE_ENVIRONMENT', '') -%}
    {{ (custom_schema_name or target.schema) | trim }}{{ '__' ~ environment if environment else '' }}
{%- endmacro %}
