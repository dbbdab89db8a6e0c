"""Every variable the platform reads: the one table, from which docs/environment.md is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """A variable: its name, who reads it, what it is for, and whether it is kept in a Secret."""

    name: str
    readers: str
    meaning: str
    secret: bool = False


def _tls(prefix: str, readers: str, what: str) -> tuple[Variable, ...]:
    return (
        Variable(f"{prefix}_SSLMODE", readers, f"how connections to {what} are encrypted, as libpq's `sslmode`"),
        Variable(f"{prefix}_SSLROOTCERT", readers, "file with the authority of its certificate, in PEM"),
    )


def _database(prefix: str, readers: str, what: str) -> tuple[Variable, ...]:
    return (
        Variable(f"{prefix}_HOST", readers, f"host of {what}"),
        Variable(f"{prefix}_PORT", readers, f"port of {what}"),
        Variable(f"{prefix}_USER", readers, f"role that owns {what}"),
        Variable(f"{prefix}_PASSWORD", readers, "its password", secret=True),
        Variable(f"{prefix}_DB", readers, f"name of {what}"),
    )


VARIABLES = (
    Variable(
        "TERRANE_ENVIRONMENT",
        "all",
        "the environment that ends the names of databases, schemas, buckets and Feast's project, as `staging`; unless "
        "set, names end in nothing",
    ),
    Variable("TERRANE_SUFFIX", "feast", "what ends them, `__staging`: set by itself, and by hand for `feast` alone"),
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
    *_database("WAREHOUSE", "analytics, features, dbt, feast", "the warehouse"),
    *_tls("WAREHOUSE", "analytics, features, dbt, feast", "the warehouse"),
    *_database("POSTGRES", "spatial", "the PostGIS database in which runs compute"),
    *_tls("POSTGRES", "spatial", "the PostGIS database in which runs compute"),
    Variable("POSTGRES_LEDGER_DB", "spatial", "database of the batch ledger, on the same server, of the same role"),
    Variable("REDIS_HOST", "features, feast", "host of the online store"),
    Variable("REDIS_PORT", "features, feast", "port of the online store"),
    Variable("REDIS_DB", "features, feast", "number of the online store's database"),
    Variable("REDIS_USERNAME", "features, feast", "its user; `default` unless set"),
    Variable("REDIS_PASSWORD", "features, feast", "its password, of letters and digits alone", secret=True),
    Variable("REDIS_TLS", "features, feast", "`true`: connections to it are encrypted, and its certificate is checked"),
    Variable("REDIS_CA_FILE", "features, feast", "file with the authority of its certificate, in PEM, `null` for none"),
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
    Variable("SOURCE_API_URL", "analytics", "address of the product's HTTP API"),
    Variable("API_KEY", "analytics", "key for that API", secret=True),
    Variable("INGESTION_START_DATE", "analytics", "first day that is ingested, `YYYY-MM-DD`"),
    Variable("TERRANE_EXECUTOR", "all", "what executes steps: `in_process` (unless set), `k8s_job` or `celery_k8s`"),
    Variable(
        "TERRANE_BROKEN_DEFINITIONS",
        "all",
        "`left_out`: a file of `defs/` that does not load is shown as an asset, and all others load; unless set, "
        "nothing loads",
    ),
    Variable("TERRANE_SPATIAL_RETRIES", "spatial", "tries again within a run after a temporary error, 3 unless set"),
    Variable("TERRANE_SPATIAL_RETRY_DELAY_S", "spatial", "seconds before the first of them, 15 unless set"),
    Variable("TERRANE_SPATIAL_QUEUED_RUNS", "spatial", "runs of a dataset in Dagster's queue, 100 unless set"),
    Variable("TERRANE_SPATIAL_FILES_AT_ONCE", "spatial", "files of a batch loaded at a time, 4 unless set"),
    Variable("TERRANE_SPATIAL_STATEMENT_MINUTES", "spatial", "how long a statement may take, 60 unless set"),
    Variable("TERRANE_SPATIAL_UNPACKED_MB", "spatial", "MiB that an archive may hold, 8192 unless set"),
    Variable("TERRANE_SPATIAL_UNPACKED_RATIO", "spatial", "times its own size that may be, 200 unless set"),
    Variable("DBT_PROFILES_DIR", "analytics, dbt", "folder of dbt's `profiles.yml`"),
    Variable("FEAST_REPO_PATH", "features", "folder of `feature_store.yaml`"),
    Variable("FEATURE_SERVER_URL", "features", "address of the feature server, for the canary check"),
    Variable(
        "FEATURE_SERVER_API_KEY", "features", "key that the canary check shows it, where it asks for one", secret=True
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


def as_markdown() -> str:
    """The table as docs/environment.md holds it."""
    rows = [f"| `{v.name}` | {v.readers} | {v.meaning} | {'yes' if v.secret else ''} |" for v in VARIABLES]
    return "\n".join(
        [
            "# Environment",
            "",
            "What differs between a laptop and a cluster is environment, never code. This page is made by `make docs`",
            "from `libs/terrane/src/terrane/environment.py`.",
            "",
            "| variable | read by | meaning | secret |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
