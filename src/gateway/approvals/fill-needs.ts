/**
 * Who fills what a request needs: each person counts for one set of groups, and as many places as
 * possible are filled, whatever the order in which people came (a maximum matching, by augmenting
 * paths).
 */
import { type AskedGroups, groupsKey, jointNeeds } from '../../policy/joint-needs.ts';

export interface FilledNeeds {
  /** People who count for a need. */
  readonly filledBy: (need: AskedGroups) => number;
  /** Groups that lack people together, with the number of people that they have; if any do. */
  readonly lacking: readonly { readonly groups: readonly string[]; readonly known: number }[];
}

interface Place extends AskedGroups {
  /** Indexes of people. */
  readonly filled: Set<number>;
}

/** @param people the groups of each, of different people */
export function fillNeeds(
  needs: readonly AskedGroups[],
  people: readonly (readonly string[])[],
): FilledNeeds {
  const places = jointNeeds(needs).map((need): Place => ({ ...need, filled: new Set() }));
  const put = (person: number, tried: Set<Place>): boolean => {
    for (const place of places) {
      if (tried.has(place) || !isIn(people[person] ?? [], place)) continue;
      tried.add(place);
      if (place.filled.size < place.count) {
        place.filled.add(person);
        return true;
      }
      for (const other of place.filled) {
        if (!put(other, tried)) continue;
        place.filled.delete(other);
        place.filled.add(person);
        return true;
      }
    }
    return false;
  };
  for (const person of people.keys()) put(person, new Set());
  return {
    filledBy: (need) =>
      places.find((place) => groupsKey(place) === groupsKey(need))?.filled.size ?? 0,
    lacking: places
      .filter(({ filled, count }) => filled.size < count)
      .map((place) => lackingWith(place, places, people)),
  };
}

/** A place that is not filled, and those that have the people who could fill it. */
function lackingWith(
  place: Place,
  places: readonly Place[],
  people: readonly (readonly string[])[],
): FilledNeeds['lacking'][number] {
  const rivals = new Set([place]);
  // What is added while it runs is looked at, too.
  for (const rival of rivals) {
    const able = [...people.keys()].filter((person) => isIn(people[person] ?? [], rival));
    for (const other of places) {
      if (able.some((person) => other.filled.has(person))) rivals.add(other);
    }
  }
  const all = [...rivals];
  return {
    groups: [...new Set(all.flatMap(({ groups }) => groups))],
    known: all.reduce((sum, { filled }) => sum + filled.size, 0),
  };
}

function isIn(groups: readonly string[], place: AskedGroups): boolean {
  return groups.some((group) => place.groups.includes(group));
}
