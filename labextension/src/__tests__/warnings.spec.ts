import { Memory, urgency, Warnings } from '../warnings';

const MINUTES = [30, 10, 2];

function memory(): Memory {
  const values = new Map<string, string>();
  return {
    getItem: key => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value)
  };
}

/** What is warned of at each of these minutes left. */
function warned(warnings: Warnings, minutesLeft: number[], runId = 'run') {
  return minutesLeft.map(left => warnings.take(left * 60, MINUTES, runId));
}

describe('urgency', () => {
  it.each([
    [31, MINUTES, 'calm'],
    [30, MINUTES, 'soon'],
    [9, MINUTES, 'soon'],
    [2, MINUTES, 'last'],
    [0, MINUTES, 'last'],
    [4, [5], 'last'],
    [0, [], 'calm']
  ])('with %d min left of warnings at %j is %s', (left, minutes, expected) => {
    expect(urgency(left * 60, minutes)).toBe(expected);
  });
});

describe('Warnings', () => {
  it('are given once each', () => {
    const given = warned(new Warnings(memory()), [31, 30, 29, 10, 9, 2, 1, 0]);
    expect(given).toEqual([
      null,
      'soon',
      null,
      'soon',
      null,
      'last',
      null,
      null
    ]);
  });

  it('leave out those that a late reader has missed', () => {
    const given = warned(new Warnings(memory()), [9, 8, 2]);
    expect(given).toEqual(['soon', null, 'last']);
  });

  it('are not repeated by a reload', () => {
    const kept = memory();
    warned(new Warnings(kept), [9]);
    expect(warned(new Warnings(kept), [8, 2])).toEqual([null, 'last']);
  });

  it('repeat the last one after a reload, which removed it from the page', () => {
    const kept = memory();
    warned(new Warnings(kept), [9, 1.9]);
    expect(warned(new Warnings(kept), [1.5, 1.4])).toEqual(['last', null]);
  });

  it('begin again with the next job', () => {
    const warnings = new Warnings(memory());
    warned(warnings, [1], 'first');
    expect(warned(warnings, [40, 30], 'second')).toEqual([null, 'soon']);
  });

  it('are not repeated when an answer corrects the time upwards', () => {
    expect(warned(new Warnings(memory()), [10, 10.1, 9.9])).toEqual([
      'soon',
      null,
      null
    ]);
  });
});
