"""What results look like, and what they turn into."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from latentd import Client, Encoded, Example, Examples, Explanations, JobSummary, LatentStats

from .fake import running
from .fake_encode import FakeEncoder, encoding
from .records import exported, make

NASTY = '<script>alert("x")</script> & "quoted"'
SHOWN = [kind for kind in exported() if hasattr(kind, "_repr_html_")]


@pytest.fixture
def encoded() -> Iterator[Encoded]:
    with encoding(FakeEncoder()) as address, Client(address) as client:
        yield client.encode(["a bb ccc", "<b>bold</b> a"], "models/m/saes/s")


class Reader(HTMLParser):
    """Keeps the tags, and finds those that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def replaced(value: Any) -> Any:
    """The value with nasty texts."""
    if isinstance(value, str):
        return NASTY
    if isinstance(value, tuple):
        return tuple(map(replaced, value))
    return value


@pytest.mark.parametrize("kind", [kind for kind in SHOWN if kind is not Encoded], ids=lambda kind: kind.__name__)
def test_html_is_escaped_and_without_scripts(kind: type) -> None:
    record = make(kind)
    for name, value in vars(record).items():
        object.__setattr__(record, name, replaced(value))
    read = Reader(record._repr_html_())
    assert read.tags <= {"div", "span", "b", "table", "thead", "tbody", "tr", "th", "td"}
    assert "color:#" not in record._repr_html_(), "colours are those of the page"


def test_these_results_can_be_shown() -> None:
    names = {
        "Encoded",
        "Example",
        "Latent",
        "Explanation",
        "Score",
        "Job",
        "JobSummary",
        "LatentStats",
        "ScoreExamples",
    }
    assert names <= {kind.__name__ for kind in SHOWN}


def test_a_strip_is_warm_where_a_latent_fires(encoded: Encoded) -> None:
    assert encoded.top(2).tolist() == [31, 23]
    shown = encoded.heat([23])._repr_html_()
    warm = re.findall(r'<span title="([^"]+)" style="background:rgba\([^)]*,([0-9.]+)\)[^>]*>([^<]*)</span>', shown)
    assert warm == [("3", "0.65", "ccc")]
    assert "<<ccc>>" in repr(encoded.heat(23)) and "23" in str(encoded.heat(23))
    whole = encoded._repr_html_()
    assert "&lt;b&gt;bold&lt;/b&gt;" in whole and "<b>bold" not in whole
    assert Reader(whole).text.count("latent") >= 2
    assert repr(encoded) == "<Encoded 2 prompts, 5 tokens, 10 activations of models/m/saes/s>"


def test_long_strips_show_the_part_with_the_peak() -> None:
    from latentd._html import strip

    tokens = [f"t{number} " for number in range(1000)]
    values = np.zeros(1000)
    values[500] = 2.0
    read = Reader(strip(tokens, values))
    assert "t500 " in read.text and "t0 " not in read.text and "t999 " not in read.text
    assert read.text.startswith("…") and read.text.endswith("…")
    assert "nan" not in strip(["a", "b"], [np.nan, -1.0])


def test_rows_of_an_encoded_result(encoded: Encoded) -> None:
    rows = list(encoded)
    assert len(rows) == len(encoded) == 5
    assert [(row.prompt, row.position, row.token) for row in rows[2:4]] == [(0, 2, "ccc"), (1, 0, "<b>bold</b>")]
    assert rows[2].latents.tolist() == [3, 23] and rows[2].activations.tolist() == [0.5, 3.0]
    assert encoded[-1] == rows[-1] and "'ccc'" in repr(rows[2]) and "23: 3.000" in repr(rows[2])
    np.testing.assert_array_equal(encoded.row(-1)[0], rows[-1].latents)
    with pytest.raises(IndexError):
        encoded[5]
    second = encoded.prompt(1)
    assert second.tokens == (("<b>bold</b>", "a"),) and second == encoded.prompt(-1)
    np.testing.assert_array_equal(second.to_dense(), encoded.to_dense()[3:])
    np.testing.assert_array_equal(encoded.latent(21), [1, 0, 0, 0, 1])


def test_latents_that_are_always_on_do_not_head_the_list(encoded: Encoded) -> None:
    assert encoded.dense_latents == {1: 0.05, 21: 0.9}
    assert encoded.top().tolist() == [31, 23, 22, 1, 2, 3, 11]
    assert encoded.top(3, max_density=1).tolist() == [31, 23, 22] and 21 in encoded.top(max_density=1)
    assert 1 not in encoded.top(max_density=0.04)


def test_to_pandas(encoded: Encoded) -> None:
    frame = encoded.to_pandas()
    assert frame.columns.tolist() == ["prompt", "position", "token", "token_id", "latent", "activation"]
    assert frame.iloc[4].tolist() == [0, 2, "ccc", 3, 3, 0.5]
    assert frame.groupby("prompt").activation.max().tolist() == [3.0, 11.0]
    tokens = encoded.prompts[0].to_pandas()
    assert tokens.token.tolist() == ["a", "bb", "ccc"] and tokens.byte_start.tolist() == [-1, -1, -1]


def test_every_to_pandas_has_a_row_for_each_result() -> None:
    for kind in (LatentStats, JobSummary):
        assert len(make(kind).to_pandas()) == len(make(kind)), kind
    example = make(Example)
    assert Examples([example, example]).to_pandas().window.tolist() == ["1:1+3", "1:1+3"]
    with running() as (_, address), Client(address) as client:
        found = Explanations(client.explanations("m/s", [7, 9]))
        assert found.to_pandas()[["latent", "text", "detection"]].iloc[1].tolist() == [9, "raises", 0.5]
        assert "raises" in found._repr_html_() and found[0].latent == 7
        assert client.score_details("scores/1").examples.to_pandas().example.tolist() == ["3:0+32", "8:5+32", "9:0+2"]


def test_to_scipy(encoded: Encoded) -> None:
    rows = encoded.to_scipy()
    assert rows.shape == (5, 50) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows.toarray(), encoded.to_dense())
    rows.data[:] = 0
    assert encoded.activations.any(), "what is made is a copy"


def test_to_torch(encoded: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    def tensor(offsets: Any, latents: Any, values: Any, size: Any, check_invariants: bool) -> str:
        made.update(offsets=offsets, latents=latents, values=values, size=size)
        return "tensor"

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=lambda a: a, sparse_csr_tensor=tensor))
    assert encoded.to_torch() == "tensor" and made["size"] == (5, 50)
    for row, (start, end) in enumerate(zip(made["offsets"], made["offsets"][1:], strict=False)):
        assert (np.diff(made["latents"][start:end]) > 0).all(), "torch wants them in order"
        np.testing.assert_array_equal(made["values"][start:end], encoded.to_dense()[row, made["latents"][start:end]])


@pytest.mark.parametrize("extra", ["pandas", "scipy", "torch"])
def test_what_is_not_installed_is_named(encoded: Encoded, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    monkeypatch.setitem(sys.modules, f"{extra}.sparse", None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'latentd\[{extra}\]'"):
        getattr(encoded, f"to_{extra}")()


def test_the_edges_of_histograms() -> None:
    stats = make(LatentStats)
    edges = stats.histogram_edges
    assert len(edges) == 65 and edges[0] == 2.0**-16 and edges[32] == 1.0 and edges[34] == 2.0 and edges[64] == 2.0**16
    assert np.histogram([1.5, 3.0], edges)[0].nonzero()[0].tolist() == [33, 35]
    assert len(stats) == 3 and [int(one.latents[0]) for one in stats] == [1, 2, 3]
    assert stats[stats.counts > 1].latents.tolist() == [2, 3] and len(stats[1]) == 1 and stats[1:] == stats[[1, 2]]
