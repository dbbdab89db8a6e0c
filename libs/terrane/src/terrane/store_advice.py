"""Which variables to look at when a store was reached and refuses: by what its client says, in the client's own words.

Nothing is imported and nothing is asked here: clients that we do not call ourselves (dbt's, Feast's) fail with the same
words as ours.
"""

from __future__ import annotations

import re

POSTGRES_TLS = re.compile(
    r"certificate verify failed|root certificate file|does not match host name|SSL was required|no encryption|SSL off"
    r"|invalid sslmode value|SSL error|sslmode value"
)
POSTGRES_LOGIN = re.compile(
    r"password authentication failed|authentication failed for user|no password supplied|no pg_hba\.conf entry"
    r"|role \"[^\"]*\" (does not exist|is not permitted to log in)"
)
REDIS_TLS = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|WRONG_VERSION_NUMBER|record layer failure"
    r"|Invalid CA Certificate|Hostname mismatch|UNEXPECTED_EOF|Connection closed by server|Connection reset by peer"
)
REDIS_LOGIN = re.compile(r"WRONGPASS|NOAUTH|NOPERM|invalid username-password|Authentication required|no permissions")
S3_TLS = re.compile(r"InvalidCertificate|invalid peer certificate|certificate verify failed|CERTIFICATE_VERIFY_FAILED")
S3_LOGIN = re.compile(
    r"SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|lacked the necessary privileges|lacks valid"
)
UNTRUSTED = re.compile(
    r"(?i)certificate.verify.failed|invalid.?certificate|invalid peer certificate|root certificate file|match host name"
)


def says_refused(text: str) -> bool:
    """Whether the server's certificate was refused, or the server refused who asks: no retry mends that."""
    return any(pattern.search(text) for pattern in (UNTRUSTED, POSTGRES_LOGIN, REDIS_LOGIN, S3_LOGIN))


def postgres_advice(text: str, prefix: str = "") -> str:
    """The variables that decide what the text complains of; empty for any other complaint.

    Args:
        text: the error of libpq, psycopg, psycopg2, SQLAlchemy or ADBC.
        prefix: what the database's variables begin with, as `WAREHOUSE`; the text names it by a star without it.
    """
    prefix = prefix or "*"
    if POSTGRES_TLS.search(text):
        return f"{prefix}_SSLMODE and {prefix}_SSLROOTCERT"
    return f"{prefix}_USER and {prefix}_PASSWORD" if POSTGRES_LOGIN.search(text) else ""


def redis_advice(text: str) -> str:
    """The same of the online store, of an error of redis-py or of Redis itself."""
    if REDIS_LOGIN.search(text):
        return "REDIS_USERNAME and REDIS_PASSWORD"
    return "REDIS_TLS and REDIS_CA_FILE" if REDIS_TLS.search(text) else ""


def s3_advice(text: str) -> str:
    """The same of the object store, of an error of obstore or botocore."""
    if S3_TLS.search(text):
        return "AWS_CA_BUNDLE"
    return "MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, and their policy" if S3_LOGIN.search(text) else ""
