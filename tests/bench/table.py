"""Prints the medians of benchmark lines, and the ratios to the peers, as one table in Markdown.

usage: table.py FILE.jsonl [FILE.jsonl ...]
"""

import collections
import json
import pathlib
import statistics
import sys

# What is compared: the figure's name, and whether more is better.
FIGURES = {"tokens_per_s": True, "prompts_per_s": True, "single_ms": False, "batched_ms": False}

found = collections.defaultdict(lambda: collections.defaultdict(list))
for path in sys.argv[1:]:
    for line in pathlib.Path(path).read_text().splitlines():
        record = json.loads(line)
        for figure in FIGURES:
            if figure in record:
                where = f"{record['tokens']} tokens" if figure.endswith("_ms") else record.get("what", "cache build")
                found[figure, where][record["system"]].append(record[figure])

print("| figure | where | latentd | peer | median | ratio (above 1: latentd is better) |")
print("|---|---|---|---|---|---|")
for (figure, where), systems in found.items():
    ours = systems.pop("latentd", None)
    if ours is None:
        continue
    mine = statistics.median(ours)
    for peer, values in systems.items():
        theirs = statistics.median(values)
        ratio = mine / theirs if FIGURES[figure] else theirs / mine
        print(f"| {figure} | {where} | {mine:.1f} | {peer} | {theirs:.1f} | {ratio:.2f} |")
