"""Sources as people have them: what is right of each, over the API and into the warehouse."""

import json
from datetime import UTC, date, datetime

import pytest
from faulty_api import rows_of, status, whole
from sources import ENTRIES, USERS

from analytics.source.asking import retry_after
from analytics.source.client import SourceClient
from terrane.errors import Permanent

pytestmark = pytest.mark.integration
DAYS = [date(2026, 1, day) for day in (1, 2, 3)]


def entry(number, at, **values):
    row = {"id": number, "user_id": 1, "created_at": at, "place": None, "mood": 3}
    return row | values


@pytest.fixture
def answers(api):
    """Makes the API answer with these rows, of the day that is asked for; or with whole answers, one a request."""

    def answer(rows=(), wholes=()):
        if wholes:
            api.faults = [whole(each) for each in wholes]
            api.fault = whole(wholes[-1])
        else:
            api.fault = rows_of(dict.fromkeys(("/v1/users", "/v1/journal-entries"), rows))

    return answer


def page(*items, cursor=None, total=None):
    return json.dumps({"items": items, "next_cursor": cursor, "window_total": len(items) if total is None else total})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"place": "Be\0rn"}, "holds a NUL, which Postgres can't keep"),
        ({"place": "Rome \ud83d"}, "holds half of a surrogate pair, which is no character"),
        ({"place": ["Rome"]}, "is a list, not a text"),
        ({"place": 5}, "is a number, not a text"),
        ({"user_id": None}, "is null"),
        ({"mood": "fine"}, "is a text, not a whole number"),
        ({"mood": True}, "is true or false, not a whole number"),
        ({"mood": 40_000}, "is beyond 16 bits"),
    ],
)
def test_a_row_that_cannot_be_kept_is_rejected_with_its_reason_and_costs_no_other(
    ingest,
    query,
    answers,
    values,
    reason,
):
    rows = [entry(1, "2026-01-01T10:00:00Z"), entry(2, "2026-01-02T10:00:00Z", **values)]
    answers([*rows, entry(3, "2026-01-02T11:00:00Z"), entry(4, "2026-01-03T10:00:00Z")])
    assert ingest(ENTRIES, DAYS) == dict(zip(DAYS, (1, 1, 1), strict=True))
    assert query("select id from raw.journal_entries order by id") == [(1,), (3,), (4,)]
    rejected = "select table_name, day, row_id, column_name, reason from raw.rejected"
    assert query(rejected) == [("journal_entries", DAYS[1], "2", *values, reason)]
    answers([*rows[:1], entry(2, "2026-01-02T10:00:00Z")])
    ingest(ENTRIES, DAYS[1:2], "run-2")
    assert query(rejected) == []


def test_a_day_of_which_too_many_rows_are_refused_is_not_taken_and_stops_no_other(ingest, query, answers):
    bad = [entry(n, f"2026-01-02T10:00:{n:02}Z", mood="fine") for n in range(10, 21)]
    answers([entry(1, "2026-01-01T10:00:00Z"), *bad, entry(30, "2026-01-03T10:00:00Z")])
    with pytest.raises(Permanent, match="1 of 3 days could not be taken.* 2026-01-02: 11 of 11 rows .*row 10: mood is"):
        ingest(ENTRIES, DAYS)
    assert query("select id from raw.journal_entries order by id") == [(1,), (30,)]


def test_a_time_without_a_zone_is_refused_by_its_column(ingest, query, answers):
    answers([entry(1, "2026-01-01T10:00:00")])
    with pytest.raises(Permanent, match="created_at of row 1 is a time without a zone"):
        ingest(ENTRIES, DAYS[:1])
    answers([{"id": 1, "plan": "free", "created_at": "2026-01-01T00:30:00", "updated_at": "2026-01-01T08:00:00Z"}])
    ingest(USERS, DAYS[:1])
    rejected = query("select column_name, reason from raw.rejected where table_name = 'users'")
    assert rejected == [("created_at", "is a time without a zone")]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_refused(ingest, answers, constant):
    answers(wholes=[page(entry(1, "2026-01-01T10:00:00Z")).replace('"mood": 3', f'"mood": {constant}')])
    with pytest.raises(Permanent, match=f"the answer holds {constant}, which is no JSON"):
        ingest(ENTRIES, DAYS[:1])


def test_a_day_without_rows_may_be_null(ingest, answers):
    answers(wholes=['{"items": null, "next_cursor": null, "window_total": 0}'])
    assert ingest(ENTRIES, DAYS[:1]) == {DAYS[0]: 0}
    answers(wholes=['{"items": null, "next_cursor": null, "window_total": 2}'])
    with pytest.raises(Permanent, match="items is no list of objects"):
        ingest(ENTRIES, DAYS[:1], "run-2")


def test_an_empty_page_in_the_middle_is_a_page(ingest, answers):
    first, last = entry(1, "2026-01-01T10:00:00Z"), entry(2, "2026-01-01T10:00:01Z")
    answers(wholes=[page(first, cursor="b", total=2), page(cursor="c", total=2), page(last, total=2)])
    assert ingest(ENTRIES, DAYS[:1]) == {DAYS[0]: 2}


def test_times_beyond_microseconds_stay_in_their_day_however_often_it_is_taken(ingest, query, answers):
    answers([entry(1, "2026-01-01T23:59:59.9999997Z"), entry(2, "2026-01-02T10:00:00Z")])
    for run in ("run-1", "run-2"):
        ingest(ENTRIES, DAYS[:2], run)
        days = query("select id, (created_at at time zone 'UTC')::date from raw.journal_entries order by id")
        assert days == [(1, DAYS[0]), (2, DAYS[1])]


def test_rows_within_a_microsecond_are_in_the_order_of_their_times(ingest, answers):
    answers([entry(9, "2026-01-01T10:00:00.000000100Z"), entry(3, "2026-01-01T10:00:00.000000200Z")])
    assert ingest(ENTRIES, DAYS[:1]) == {DAYS[0]: 2}


def test_a_row_that_moved_to_another_day_is_there_once(ingest, query, answers):
    answers([entry(1, "2026-01-01T10:00:00Z"), entry(2, "2026-01-02T10:00:00Z")])
    ingest(ENTRIES, DAYS[:1])
    moved = [entry(1, "2026-01-02T09:00:00Z"), entry(2, "2026-01-02T10:00:00Z"), entry(3, "2026-01-03T10:00:00Z")]
    answers(moved)
    ingest(ENTRIES, DAYS[1:], "run-2")
    days = query("select id, (created_at at time zone 'UTC')::date from raw.journal_entries order by id")
    assert days == [(1, DAYS[1]), (2, DAYS[1]), (3, DAYS[2])]


def test_a_date_without_a_zone_to_come_back_at_is_in_utc():
    assert retry_after("Wed, 21 Oct 2026 07:28:00", 1) == 0 or datetime.now(UTC) < datetime(2026, 10, 21, tzinfo=UTC)
    assert retry_after("Wed, 21 Oct 2099 07:28:00 -0000", 1) == 86_400


def test_an_api_that_says_when_to_come_back_is_asked_again(api, source_api):
    api.faults = [status(429, Retry_After="Wed, 21 Oct 2020 07:28:00")]
    with source_api.client() as client:
        assert client.get("/v1/game-types")["items"]


def test_a_key_with_a_lines_end_works(api):
    from faulty_api import KEY

    with SourceClient(api.url, f"{KEY}\n", 5, 1, 0) as client:
        assert client.get("/v1/game-types")["items"]


@pytest.mark.parametrize("key", ["the\nsecret", "the-secr\u00e9t", "  "])
def test_a_key_that_no_request_can_carry_is_not_told(key):
    with pytest.raises(Permanent, match="API_KEY") as raised:
        SourceClient("http://127.0.0.1:1", key, 1, 1, 0)
    assert "secr" not in str(raised.value)
