{#- The schema a model asks for is the schema it gets, whatever the target's own schema is; in an environment, with its end. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set environment = env_var('TERRANE_ENVIRONMENT', '') -%}
    {%- if environment and not modules.re.fullmatch('[a-z][a-z0-9]{0,15}', environment) -%}
        {{ exceptions.raise_compiler_error("TERRANE_ENVIRONMENT is '" ~ environment ~ "': it is at most 16 small letters and digits, the first a letter") }}
    {%- endif -%}
    {{ (custom_schema_name or target.schema) | trim }}{{ '__' ~ environment if environment else '' }}
{%- endmacro %}
