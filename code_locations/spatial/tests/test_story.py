"""The whole story of a batch: from the landing zone to the lake."""

from __future__ import annotations

import pytest

from terrane.publishing import list_commits

pytestmark = pytest.mark.integration


def test_a_sample_batch_is_published_with_every_row_accounted_for(platform_anywhere) -> None:
    platform = platform_anywhere
    platform.put_sample()

    result = platform.run_next()

    assert result.success
    (commit,) = list_commits(platform.lake, "places")
    assert commit.summary["rows"] == {"places": 243, "countries": 177}
    assert platform.batch("natural-earth-1").state == "published"
    assert platform.schemas() == []
