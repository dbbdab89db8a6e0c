"""A location's place in the umbrella chart: its entry for the official chart of code servers."""

from __future__ import annotations

import json

from terrane_cli.locations.description import Amounts, Location
from terrane_cli.locations.words import Need, Server, own_database

# Of each need, the ConfigMap with the address. Compute logs go into the object store, so all have its address.
ADDRESSES = {
    Need.WAREHOUSE: "terrane-warehouse-address",
    Need.SPATIAL: "terrane-spatial-address",
    Need.ONLINE_STORE: "terrane-redis-address",
    Need.LAKE: "terrane-s3-address",
    Need.SOURCE: "terrane-source-address",
    Need.FEATURE_SERVER: "terrane-features-address",
}
# Of each need, the variables that are passwords: (variable, Secret, key).
PASSWORDS = {
    Need.WAREHOUSE: [("WAREHOUSE_PASSWORD", "terrane-warehouse", "WAREHOUSE_PASSWORD")],
    Need.SPATIAL: [("POSTGRES_PASSWORD", "terrane-spatial", "POSTGRES_PASSWORD")],
    Need.ONLINE_STORE: [("REDIS_PASSWORD", "terrane-redis", "REDIS_PASSWORD")],
    Need.LAKE: [
        ("MINIO_ROOT_USER", "terrane-s3", "MINIO_ROOT_USER"),
        ("MINIO_ROOT_PASSWORD", "terrane-s3", "MINIO_ROOT_PASSWORD"),
    ],
    Need.SOURCE: [("API_KEY", "terrane-source", "API_KEY")],
}
COMPUTE_LOGS = [
    ("AWS_ACCESS_KEY_ID", "terrane-s3", "MINIO_ROOT_USER"),
    ("AWS_SECRET_ACCESS_KEY", "terrane-s3", "MINIO_ROOT_PASSWORD"),
]
# A location's own database: the purpose of its ConfigMap and Secret, and the variable with its password.
OWN, OWN_PASSWORD = "{name}-database", "LOCATION_PASSWORD"
# The Secret of variables that a location alone reads, made by whoever has their values.
OF_ITS_OWN = "terrane-{name}-variables"
EXTENSIONS = {Server.POSTGRES: "[]", Server.POSTGIS: "[postgis]"}
# A Secret that may lack: a workload may have an identity in the place of keys.
OPTIONAL = "terrane-s3"
HEADER = """\
# The code locations of the platform, passed with every command: `-f charts/platform/values/locations.yaml`.
# Written by `make locations` from code_locations/*/location.yaml: a change made here is lost, and found by a test.
#
# A location's name is that of its folder, of its Service, and of its place in the UI. What it is given it passes on to
# its runs; it is given what it needs and nothing else. Compute logs are written by the run itself, which has their keys
# as AWS_*; without keys it has an identity (`s3.workloadIdentity`). A server whose definitions do not load never takes
# the place of the one before it, which answers until then. Health is asked by our own program, for Dagster's costs 2 s
# of CPU each time.

"""
DEPLOYMENTS = """\
dagster:
  dagster-user-deployments:
    deployments:"""
ENTRY = """\
      - name: {name}
        image: {{repository: terrane/{name}, tag: dev, pullPolicy: IfNotPresent}}
        codeServerArgs: ["-m", "{name}.definitions", "--location-name", "{name}"]
        port: 4000
        envConfigMaps:
{addresses}
        env:
{variables}
        labels: {{app.kubernetes.io/part-of: terrane}}
        podSecurityContext:
          runAsNonRoot: true
          runAsUser: 1000
          runAsGroup: 1000
          fsGroup: 1000
          seccompProfile: {{type: RuntimeDefault}}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {{drop: [ALL]}}
        volumes:
          - {{name: tmp, emptyDir: {{}}}}
          - {{name: home, emptyDir: {{}}}}
          - name: authorities
            projected:
              sources:
                - configMap: {{name: terrane-authorities, optional: true}}
                - secret: {{name: terrane-authorities, optional: true}}
        volumeMounts:
          - {{name: tmp, mountPath: /tmp}}
          - {{name: home, mountPath: /opt/dagster/dagster_home}}
          - {{name: authorities, mountPath: /etc/terrane/authorities, readOnly: true}}
        includeConfigInLaunchedRuns: {{enabled: true}}
        resources:
          requests: {requests}
          limits: {limits}
        startupProbe:
          enabled: true
          exec: {{command: [python, -m, terrane.pods.code_server, "4000"]}}
          periodSeconds: 3
          timeoutSeconds: 20
          failureThreshold: 40
        readinessProbe:
          enabled: true
          exec: {{command: [python, -m, terrane.pods.code_server, --health, "4000"]}}
          periodSeconds: 10
          timeoutSeconds: 10
          failureThreshold: 6
        deploymentStrategy: {{type: RollingUpdate, rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}}}
"""


def values(locations: dict[str, Location]) -> str:
    """The text of charts/platform/values/locations.yaml; the order of entries is that of the locations."""
    serving = next((name for name, location in locations.items() if location.feature_server), None)
    server = f"image: {{registry: docker.io, repository: terrane/{serving}, tag: dev}}" if serving else "enabled: false"
    entries = "\n" + "\n".join(_entry(name, location) for name, location in locations.items()) if locations else " []\n"
    return f"{HEADER}featureServer: {{{server}}}\n\n{_databases(locations)}{DEPLOYMENTS}{entries}"


def _databases(locations: dict[str, Location]) -> str:
    """The values of locations' own databases: their addresses and Secrets, and the roles that the stores make."""
    own = {name: location.database for name, location in locations.items() if location.database}
    if not own:
        return ""
    text = "locationDatabases:\n"
    for name, server in own.items():
        database = own_database(name)
        text += f"  {name}: {{server: {server}, user: {database}, database: {database}, create: true}}\n"
    for server in Server:
        roles = [name for name, wanted in own.items() if wanted == server]
        text += f"{server}:\n  roles:\n" if roles else ""
        for name in roles:
            database = own_database(name)
            secret = f"terrane-{OWN.format(name=name)}"
            owned = f"{{{database}: {EXTENSIONS[server]}}}"
            text += f"    {database}: {{secret: {secret}, passwordKey: {OWN_PASSWORD}, databases: {owned}}}\n"
    return f"{text}\n"


def _entry(name: str, location: Location) -> str:
    needed = [need for need in Need if need in location.needs]
    addresses = [ADDRESSES[need] for need in Need if need in needed or need == Need.LAKE]
    # The order in which Kubernetes lists them: stores, logs, and the source last, as they came to be.
    passwords = [variable for need in needed if need != Need.SOURCE for variable in PASSWORDS.get(need, [])]
    if location.database:
        addresses.append(f"terrane-{OWN.format(name=name)}-address")
        passwords.append((OWN_PASSWORD, f"terrane-{OWN.format(name=name)}", OWN_PASSWORD))
    own = OF_ITS_OWN.format(name=name)
    passwords += [(variable, own, variable) for variable, said in location.variables.items() if said.secret]
    passwords += [*COMPUTE_LOGS, *(PASSWORDS[Need.SOURCE] if Need.SOURCE in needed else [])]
    plain = {variable: said.value for variable, said in location.variables.items() if not said.secret}
    return ENTRY.format(
        name=name,
        addresses="\n".join(f"          - {{name: {name}}}" for name in [*addresses, "terrane-execution-address"]),
        variables="\n".join(
            [
                *(f"          - {{name: {variable}, value: {json.dumps(value)}}}" for variable, value in plain.items()),
                *(_from_secret(*password) for password in passwords),
            ]
        ),
        requests=_amounts(location.resources.requests),
        limits=_amounts(location.resources.limits),
    )


def _from_secret(variable: str, secret: str, key: str) -> str:
    optional = ", optional: true" if secret == OPTIONAL else ""
    return f"          - {{name: {variable}, valueFrom: {{secretKeyRef: {{name: {secret}, key: {key}{optional}}}}}}}"


def _amounts(amounts: Amounts) -> str:
    return "{" + ", ".join(f"{name}: {amount}" for name, amount in amounts if amount is not None) + "}"
