"""Every variable that the platform gives or its libraries read; docs/environment.md is made of this table.

What a location alone reads stands in its location.yaml, and in the same page. Who reads a variable is said by the need
or the library that it comes with: no location is named here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """A variable.

    Attributes:
        readers: who reads it, beside locations.
        meaning: what it is for.
        secret: whether it is kept in a Secret.
        need: what a location that reads it has among its needs.
        library: what a location that reads it is made with.
    """

    name: str
    readers: str
    meaning: str
    secret: bool = False
    need: str = ""
    library: str = ""


def _tls(prefix: str, readers: str, what: str, need: str = "") -> tuple[Variable, ...]:
    mode = f"how connections to {what} are encrypted, as libpq's `sslmode`"
    return (
        Variable(f"{prefix}_SSLMODE", readers, mode, need=need),
        Variable(f"{prefix}_SSLROOTCERT", readers, "file with the authority of its certificate, in PEM", need=need),
    )


def _database(prefix: str, readers: str, what: str, need: str = "") -> tuple[Variable, ...]:
    return (
        Variable(f"{prefix}_HOST", readers, f"host of {what}", need=need),
        Variable(f"{prefix}_PORT", readers, f"port of {what}", need=need),
        Variable(f"{prefix}_USER", readers, f"role that owns {what}", need=need),
        Variable(f"{prefix}_PASSWORD", readers, "its password", secret=True, need=need),
        Variable(f"{prefix}_DB", readers, f"name of {what}", need=need),
    )


def _spatial(name: str, meaning: str) -> Variable:
    return Variable(f"TERRANE_SPATIAL_{name}", "", meaning, library="terrane_spatial")


VARIABLES = (
    Variable(
        "TERRANE_ENVIRONMENT",
        "all",
        "the environment that ends the names of databases, schemas, buckets and Feast's project, as `staging`; unless "
        "set, names end in nothing",
    ),
    Variable("TERRANE_SUFFIX", "feast", "what ends them, `__staging`: set by itself, and by hand for `feast` alone"),
    Variable("TERRANE_DBT_SESSION", "dbt", "what its sessions in Postgres are called, to end them: set by itself"),
    Variable(
        "TERRANE_AUTOMATION",
        "all",
        "sensors and schedules that run by themselves: `all`, `none`, or names with commas between them; unless set, "
        "`all` without an environment and `none` in one",
    ),
    Variable("DAGSTER_HOME", "dagster", "folder of `dagster.yaml`"),
    *_database("DAGSTER_POSTGRES", "dagster", "Dagster's own database"),
    *_database("LOCATION", "a location with `database`", "a database of the location's own"),
    *_tls("LOCATION", "a location with `database`", "a database of the location's own"),
    *_database("WAREHOUSE", "dbt, feast", "the warehouse", need="warehouse"),
    *_tls("WAREHOUSE", "dbt, feast", "the warehouse", need="warehouse"),
    *_database("POSTGRES", "", "the PostGIS database in which runs compute", need="spatial"),
    *_tls("POSTGRES", "", "the PostGIS database in which runs compute", need="spatial"),
    Variable(
        "POSTGRES_LEDGER_DB", "", "database of the batch ledger, on the same server, of the same role", need="spatial"
    ),
    Variable("REDIS_HOST", "feast", "host of the online store", need="online_store"),
    Variable("REDIS_PORT", "feast", "port of the online store", need="online_store"),
    Variable("REDIS_DB", "feast", "number of the online store's database", need="online_store"),
    Variable("REDIS_USERNAME", "feast", "its user; `default` unless set", need="online_store"),
    Variable("REDIS_PASSWORD", "feast", "its password, of letters and digits alone", secret=True, need="online_store"),
    Variable(
        "REDIS_TLS",
        "feast",
        "`true`: connections to it are encrypted, and its certificate is checked",
        need="online_store",
    ),
    Variable(
        "REDIS_CA_FILE",
        "feast",
        "file with the authority of its certificate, in PEM, `null` for none",
        need="online_store",
    ),
    Variable("MINIO_ENDPOINT", "all", "object store: `host:port`, `http(s)://host:port`, or `file:///folder`"),
    Variable(
        "MINIO_ROOT_USER",
        "all",
        "user of the object store; without it, keys are those of `AWS_*` variables or of the workload's identity",
    ),
    Variable("MINIO_ROOT_PASSWORD", "all", "its password", secret=True),
    Variable("AWS_DEFAULT_REGION", "all", "region of the object store, `us-east-1` unless set; MinIO has none"),
    Variable("AWS_CA_BUNDLE", "all", "file with the object store's authority, in PEM, beside those the system trusts"),
    Variable(
        "LANDING_ZONE_BUCKET",
        "all",
        "name of the bucket in which batches land, `landing-zone` and the environment unless set",
    ),
    Variable(
        "DATA_LAKE_BUCKET", "all", "name of the bucket of what is published, `data-lake` and the environment unless set"
    ),
    Variable(
        "COMPUTE_LOGS_BUCKET",
        "dagster",
        "name of the bucket of the runs' logs, `compute-logs` and the environment unless set",
    ),
    Variable("COMPUTE_LOGS_PREFIX", "dagster", "folder of the runs' logs within their bucket; `dagster.yaml` names it"),
    Variable("S3_PREFIX", "all", "folder within each bucket below which everything lies; none unless set"),
    Variable("SOURCE_API_URL", "", "address of the product's HTTP API", need="source"),
    Variable("API_KEY", "", "key for that API", secret=True, need="source"),
    Variable("INGESTION_START_DATE", "", "first day that is ingested, `YYYY-MM-DD`", need="source"),
    Variable("TERRANE_EXECUTOR", "all", "what executes steps: `in_process` (unless set), `k8s_job` or `celery_k8s`"),
    Variable(
        "TERRANE_BROKEN_DEFINITIONS",
        "all",
        "`left_out`: a file of `defs/` that does not load is shown as an asset, and all others load; unless set, "
        "nothing loads",
    ),
    _spatial("RETRIES", "tries again within a run after a temporary error, 3 unless set"),
    _spatial("RETRY_DELAY_S", "seconds before the first of them, 15 unless set"),
    _spatial("QUEUED_RUNS", "runs of a dataset in Dagster's queue, 100 unless set"),
    _spatial("FILES_AT_ONCE", "files of a batch loaded at a time, 4 unless set"),
    _spatial("STATEMENT_MINUTES", "how long a statement may take, 60 unless set"),
    _spatial("UNPACKED_MB", "MiB that an archive may hold, 8192 unless set"),
    _spatial("UNPACKED_RATIO", "times its own size that may be, 200 unless set"),
    Variable("DBT_PROFILES_DIR", "dbt", "folder of dbt's `profiles.yml`", library="terrane_dbt"),
    Variable("FEAST_REPO_PATH", "", "folder of `feature_store.yaml`", library="terrane_features"),
    Variable("FEATURE_SERVER_URL", "", "address of the feature server, for the canary check", need="feature_server"),
    Variable(
        "FEATURE_SERVER_API_KEY",
        "",
        "key that the canary check shows it, where it asks for one",
        secret=True,
        need="feature_server",
    ),
    Variable("FEATURE_SERVER_API_KEYS", "feature server", "keys it takes, with commas between them", secret=True),
    Variable(
        "FEATURE_SERVER_JWT_KEY", "feature server", "secret, or public key in PEM, of the tokens it takes", secret=True
    ),
    Variable("FEATURE_SERVER_JWKS_URL", "feature server", "address of an identity provider's keys, instead of one key"),
    Variable("FEATURE_SERVER_JWT_ISSUER", "feature server", "issuer that a token has to name"),
    Variable("FEATURE_SERVER_JWT_AUDIENCE", "feature server", "audience that a token has to name"),
    Variable("FEATURE_SERVER_MAX_ENTITIES", "feature server", "rows that may be asked for at a time, 5000 unless set"),
    Variable("FEATURE_SERVER_MAX_VALUES", "feature server", "rows times features of a request, 500000 unless set"),
    Variable("FEATURE_SERVER_MAX_BODY_BYTES", "feature server", "length of a request's body, 8388608 unless set"),
    Variable("UI_URL", "run-pods", "where the webserver answers, to ask it which runs are over; the chart sets it"),
    Variable("FEATURE_SERVER_LOG_LEVEL", "feature server", "`debug`, `info` (unless set), `warning` or `error`"),
)
