"""Corpus files as other programs write them: datasets, pyarrow, gzip, zstandard.

Usage: corpora.py OUT_DIR

Every file holds the documents of TEXTS, in this order, unless its name says otherwise. Needs datasets, pyarrow and zstandard.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

TEXTS = ["first", "日本 🎉\nsecond line", None, "", "last"]

out = Path(sys.argv[1])
shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True)

rows = [json.dumps({"id": i, "text": text, "meta": {"text": text}}, ensure_ascii=False) for i, text in enumerate(TEXTS)]
lines = ("\n".join(rows) + "\n").encode()
half = len("\n".join(rows[:2]).encode())
(out / "lines.json").write_bytes(lines)
(out / "array.json").write_text("[\n  " + ",\n  ".join(rows) + "\n]\n")
(out / "pretty.json").write_text(json.dumps([json.loads(row) for row in rows], indent=2, ensure_ascii=False))
# Two members, cut inside a line.
(out / "members.jsonl.gz").write_bytes(b"".join(gzip.compress(part, mtime=0) for part in (lines[:half], lines[half:])))
(out / "array.json.gz").write_bytes(gzip.compress((out / "array.json").read_bytes(), mtime=0))
packer = zstandard.ZstdCompressor()
(out / "frames.jsonl.zst").write_bytes(packer.compress(lines[:half]) + packer.compress(lines[half:]))
(out / "cut.jsonl.gz").write_bytes(gzip.compress(lines * 50, mtime=0)[:-20])
(out / "cut.jsonl.zst").write_bytes(packer.compress(lines * 50)[:-9])

dataset = datasets.Dataset.from_dict({"id": list(range(len(TEXTS))), "text": TEXTS})
dataset.save_to_disk(out / "saved", num_shards=2)
# What an earlier save has left.
shutil.copy(out / "saved/data-00000-of-00002.arrow", out / "saved/data-00000-of-00001.arrow")

nested = pa.StructArray.from_arrays(
    [pa.array(TEXTS)], names=["text"], mask=pa.array([False, False, True, False, False])
)
columns = {
    "string": pa.array(TEXTS),
    "large": pa.array(TEXTS, pa.large_string()),
    "view": pa.array(TEXTS, pa.string_view()),
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "nested": nested,
    "list": pa.array([[text] for text in TEXTS]),
    "number": pa.array(range(len(TEXTS))),
}
table = pa.table(columns)
with pa.OSFile(str(out / "table.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table, max_chunksize=2)
with pa.OSFile(str(out / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
options = pa.ipc.IpcWriteOptions(compression="zstd")
with pa.OSFile(str(out / "packed.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
    writer.write_table(table)
(out / "cut.arrow").write_bytes((out / "table.arrow").read_bytes()[:-300])
pq.write_table(table, out / "table.parquet", row_group_size=3)
print(sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()))
