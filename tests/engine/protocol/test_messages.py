"""Orders on the wire: they arrive as they were given, and one that makes no sense is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from softcopy_napari.engine.protocol.messages import Changes, Order


@pytest.mark.parametrize(
    "order",
    [
        {"do": "set"},
        {"do": "stop", "changes": {"pace": "full"}},
        {"do": "set", "changes": {"pace": "slow"}},
        {"do": "set", "changes": {"sleep_time": -1}},
        {"do": "set", "changes": {"max_rate": "fast"}},
        {"do": "set", "changes": {"nprocs": 2}},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(order)


@pytest.mark.parametrize("rate", ["full", "20 MB/s", {"09:00-18:00": "20 MB/s"}])
def test_an_order_arrives_as_it_was_given(rate: object) -> None:
    order = Order(do="set", changes=Changes.model_validate({"max_rate": rate}))
    assert Order.model_validate_json(order.model_dump_json()) == order
    assert order.changes is not None and order.changes.max_rate is not None
