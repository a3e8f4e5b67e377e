// Places in an order of the user's making: strings of 0-9 A-Z a-z, compared by code. A task moves by one write.
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const WIDTH = 8; // a place at an end is a number of eight digits and a last one that is not 0, so that it stays short
const LONGEST = 64;

const number = (place) =>
  [...place.padEnd(WIDTH, "0").slice(0, WIDTH)].reduce((sum, digit) => sum * 62 + DIGITS.indexOf(digit), 0);
const step = () => 1 + Math.floor(Math.random() * 1000); // two devices that append at one moment seldom meet
function spelt(value) {
  let place = "V";
  for (let left = WIDTH; left > 0; left--, value = Math.floor(value / 62)) place = DIGITS[value % 62] + place;
  return place;
}

// Returns a place after `low` and before `high`; null is the beginning or the end.
export function between(low, high) {
  if (low === null && high === null) return spelt(62 ** WIDTH / 2);
  const end = high === null ? number(low) + step() : low === null ? number(high) - step() : -1;
  if (end > 0 && end < 62 ** WIDTH) return spelt(end);
  let place = "";
  for (let at = 0, bounded = high !== null; ; at++) {
    const least = DIGITS.indexOf(low?.[at] ?? "0");
    const most = bounded && at < high.length ? DIGITS.indexOf(high[at]) : 62;
    const middle = (least + most) >> 1;
    if (middle > least) return place + DIGITS[middle];
    place += DIGITS[least];
    if (most > least) bounded = false;
  }
}

// Orders tasks by their places; those without one come last, and of equal ones the older first.
export const byPlace = (one, other) => {
  if (one.position !== other.position) {
    if (one.position === null || other.position === null) return one.position === null ? 1 : -1;
    return one.position < other.position ? -1 : 1;
  }
  return (one.id ?? Infinity) - (other.id ?? Infinity) || 0;
};

// Returns [task, place] for each task to write, so that `moved` stands before the task `next` (null: at the end).
// Mostly that is `moved` alone; tasks above it that have no place yet, or share one, get one, too.
export function placed(tasks, moved, next) {
  const rest = tasks.filter((task) => task !== moved);
  const index = next === null ? rest.length : rest.indexOf(next);
  const wanted = [...rest.slice(0, index), moved, ...rest.slice(index)];
  const writes = [];
  let last = null;
  for (const [at, task] of wanted.entries()) {
    const fits = task.position !== null && (last === null || task.position > last);
    if (at > index && (fits || task.position === null)) break;
    if (at !== index && fits) last = task.position;
    else {
      const above = (one) => one !== moved && one.position !== null && (last === null || one.position > last);
      const following = wanted.slice(at + 1).find(above);
      writes.push([task, (last = between(last, following?.position ?? null))]);
    }
  }
  if (writes.every(([, place]) => place.length <= LONGEST)) return writes;
  return wanted.map((task, at) => [task, spelt(62 ** WIDTH / 4 + at * 1000)]); // no room is left in between
}
