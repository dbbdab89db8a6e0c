"""From a request to what is read: which name stands for which join key, and what a planner keeps."""

from __future__ import annotations

import pytest

from terrane_features.online_store.format import INT64, STRING
from terrane_features.server.registry.catalog import Catalog, Projection, Service, View
from terrane_features.server.request import plan as planning
from terrane_features.server.request.errors import RequestError
from terrane_features.server.request.parse import Request
from terrane_features.server.request.plan import Planner, make_plan

pytestmark = pytest.mark.unit
ZONES = View("zones", (("zone_id", INT64),), {"people": INT64})
HOME = View("home", (("zone_id", INT64),), {"rent": INT64})
NAMES = View("names", (("zone_id", STRING),), {"name": STRING})
TRIP = Service(
    "trip",
    (
        Projection("zones", "origin", ("people",), {"zone_id": "origin_id"}),
        Projection("zones", "dest", ("people",), {"zone_id": "dest_id"}),
        Projection("home", "", ("rent",), {}),
    ),
)
CATALOG = Catalog("p", {v.name: v for v in (ZONES, HOME, NAMES)}, {"trip": TRIP}, {"zone": "zone_id"})


def request(what: tuple[str, ...] | str, *names: str) -> Request:
    return Request(what, {name: [1] for name in names}, 1, full_names=True, versions=False)


def test_a_role_without_its_own_key_is_refused_though_another_view_is_given_the_keys_name() -> None:
    for names in (("origin_id", "dst_id", "zone_id"), ("origin_id", "zone"), ("zone_id",)):
        with pytest.raises(RequestError, match="the join key (dest_id|origin_id) of feature view") as refused:
            make_plan(CATALOG, request("trip", *names))
        assert refused.value.status == 400
    made = make_plan(CATALOG, request("trip", "origin_id", "dest_id", "zone_id"))
    assert [read.commands.keys[0][0] for read in made.reads] == ["origin_id", "dest_id", "zone_id"]


def test_a_key_is_read_in_the_type_of_each_view() -> None:
    made = make_plan(CATALOG, request(("zones:people", "names:name"), "zone_id"))
    assert set(made.inputs) == {("zone_id", INT64), ("zone_id", STRING)}


def test_names_that_nobody_knows_have_no_part_in_what_is_kept() -> None:
    planner = Planner(CATALOG)
    plans = {id(planner.plan(request(("zones:people",), "zone_id", f"k{i}" + "x" * 100_000))) for i in range(60)}
    assert len(plans) == 1
    assert planner._kept_bytes < 10_000


def test_what_is_kept_is_bounded_in_bytes_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "KEPT_BYTES", 50_000)
    features = {f"f{i}": INT64 for i in range(40)}
    planner = Planner(Catalog("p", {"wide": View("wide", (("id", INT64),), features)}))
    for n in range(1, 40):
        for first in range(40 - n):
            planner.plan(request(tuple(f"wide:f{i}" for i in range(first, first + n)), "id"))
            assert planner._kept_bytes <= 50_000
    assert planner._plans
