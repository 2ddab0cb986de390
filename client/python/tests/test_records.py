"""Results can be compared, hashed and printed, whatever arrays they hold."""

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from latentd import Client, Examples, Explanations

from .records import exported, make

KINDS = exported()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_equality_and_hashes_know_arrays(kind: type) -> None:
    one, same, other = make(kind), make(kind), make(kind, 2)
    assert one == same and hash(one) == hash(same) and len({one, same}) == 1
    assert one != other and one != "text"
    assert (one == copy.deepcopy(one)) is True
    for field in dataclasses.fields(kind):
        changed = dataclasses.replace(one, **{field.name: getattr(other, field.name)})
        assert (changed == one) is not field.compare, field.name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_repr_is_short_and_a_copy_can_be_sent(kind: type) -> None:
    record = make(kind)
    assert kind.__name__ in repr(record)
    assert len(repr(record)) < 400 and "array(" not in repr(record) and "\n" not in repr(record)
    assert pickle.loads(pickle.dumps(record)) == record


@pytest.mark.parametrize("kind", [kind for kind in KINDS if hasattr(kind, "_repr_html_")], ids=lambda k: k.__name__)
def test_a_record_without_anything_can_be_shown(kind: type) -> None:
    record = dataclasses.replace(make(kind), **{name: empty(value) for name, value in vars(make(kind)).items()})
    assert record._repr_html_().startswith("<div") and repr(record)


def empty(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value[:0]
    if isinstance(value, tuple) and isinstance(value[0], float):
        return value
    if isinstance(value, str | tuple | dict):
        return type(value)()
    return 0 if isinstance(value, int) else value


def test_what_is_not_a_number_is_equal_to_itself() -> None:
    kind = next(kind for kind in KINDS if kind.__name__ == "ScoreExamples")
    rows = [
        dataclasses.replace(make(kind), value=np.array([0.5, np.nan]), distance=np.array([number]))
        for number in (1, 1, 2)
    ]
    assert rows[0] == rows[1] and hash(rows[0]) == hash(rows[1]) and rows[0] != rows[2]
    assert rows[0] != dataclasses.replace(rows[0], value=np.array([0.5, np.nan, 1.0]))


def test_lists_of_results_are_equal_if_all_their_results_are() -> None:
    for kind, of in ((Examples, "Example"), (Explanations, "Explanation")):
        record = next(kind for kind in KINDS if kind.__name__ == of)
        some, more = kind([make(record)]), kind([make(record), make(record, 2)])
        assert some == more[:1] and hash(some) == hash(more[:1]) and some != more and len(more) == 2
        assert list(more) == [make(record), make(record, 2)] and more[-1] == make(record, 2)
        assert of.lower() in repr(more)


def test_a_client_says_where_it_is() -> None:
    with Client("http://somewhere") as client:
        assert repr(client) == "<Client of somewhere:50051>"
