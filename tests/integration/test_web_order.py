"""The order of examples/web, in Node.js: places stay between their neighbours, short, and are few to write."""

import json
import shutil
import subprocess
from pathlib import Path

from servers.node import NODE

WEB = Path(__file__).parents[2] / "examples/web"

# A list is moved about at random, and often into one gap, with tasks that have no place or share one.
MOVES = """
import { between, byPlace, placed } from "./order.js";
let seed = Number(process.argv[2]);
const random = (limit) => (seed = (seed * 48271) % 2147483647) % limit;
const report = { wrong: 0, longest: 0, writes: 0, moves: 0, bad: 0 };
const tasks = Array.from({ length: 30 }, (_, id) => ({ id, position: id % 3 ? null : ["V", "Vz", "V"][id % 9 / 3] }));
const ordered = () => [...tasks].sort(byPlace);
for (let round = 0; round < 3000; round++) {
  const shown = ordered();
  const moved = shown[random(shown.length)];
  const next = round % 3 ? [...shown, null][random(shown.length + 1)] : shown[7];
  if (moved === next) continue;
  const wanted = shown.filter((task) => task !== moved);
  wanted.splice(next ? wanted.indexOf(next) : wanted.length, 0, moved);
  const writes = placed(shown, moved, next);
  for (const [task, place] of writes) task.position = place;
  report.moves += 1;
  if (round > 300) report.writes += writes.length;
  for (const [, place] of writes) {
    report.longest = Math.max(report.longest, place.length);
    if (!/^[0-9A-Za-z]{1,64}$/.test(place)) report.bad += 1;
  }
  const now = ordered();
  if (now.some((task, at) => task !== wanted[at])) report.wrong += 1;
}
let end = null;
for (let round = 0; round < 10000; round++) {
  const next = between(end, null);
  if (end !== null && next <= end) report.wrong += 1;
  end = next;
}
report.end = end.length;
console.log(JSON.stringify(report));
"""


def test_each_move_gives_the_wanted_order_by_about_one_write_with_places_that_stay_short(tmp_path):
    shutil.copy(WEB / "order.js", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "moves.js").write_text(MOVES)
    for seed in (1, 2, 3):
        ran = subprocess.run(
            [NODE, "moves.js", str(seed)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        report = json.loads(ran.stdout)
        assert report["wrong"] == report["bad"] == 0, report
        assert report["moves"] > 2500
        assert report["longest"] <= 64
        assert report["end"] <= 9
        assert report["writes"] < 1.2 * report["moves"], report
