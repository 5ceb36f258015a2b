import {
  amount,
  clockTime,
  LONGEST_WARNING,
  timeLeft,
  warning,
  whatHappens
} from '../words';

const NOW = new Date(2026, 10, 25, 14, 23);
const TODAY = new Date(2026, 10, 25, 14, 32);
const TOMORROW = new Date(2026, 10, 26, 1, 5);

describe('amount', () => {
  it.each([
    [2 * 86400 + 3 * 3600 + 59, '2 d 3 h'],
    [2 * 3600 + 14 * 60, '2 h 14 min'],
    [3600, '1 h 0 min'],
    [3599, '59 min'],
    [60, '1 min'],
    [59.9, 'less than 1 min']
  ])('says %d s as %s', (seconds, expected) => {
    expect(amount(seconds)).toBe(expected);
  });
});

describe('timeLeft', () => {
  it.each([
    [8040, true, '2 h 14 min left'],
    [8040, false, 'about 2 h 14 min left'],
    [30, false, 'less than 1 min left'],
    [0, true, 'Walltime reached'],
    [0, false, 'Walltime reached']
  ])('with %d s (exact: %s) says %s', (seconds, isExact, expected) => {
    expect(timeLeft(seconds, isExact)).toBe(expected);
  });
});

describe('clockTime', () => {
  it('is short today', () => {
    expect(clockTime(TODAY, NOW, 'en-GB')).toBe('14:32');
  });

  it('names another day', () => {
    expect(clockTime(TOMORROW, NOW, 'en-GB')).toMatch(/^Thu,? 26 Nov, 01:05$/);
  });
});

describe('whatHappens', () => {
  it('says when and what is lost', () => {
    expect(whatHappens(TODAY, NOW, true, 'en-GB')).toBe(
      'This server ends at 14:32, when its walltime is over. ' +
        'Saved files are kept; running kernels, terminals and unsaved changes are lost.'
    );
  });

  it('does not promise a time that is not exact', () => {
    expect(whatHappens(TODAY, NOW, false, 'en-GB')).toContain(
      'ends at about 14:32'
    );
  });
});

describe('warning', () => {
  it('says what is left, when it ends and what to do', () => {
    expect(warning(540, true, TODAY, NOW, 'en-GB')).toBe(
      '9 min left: this server ends at 14:32. ' +
        'Save your work: kernels and terminals end with it.'
    );
  });

  it('fits into a notification, however long the time', () => {
    const text = warning(9 * 86400 + 84_000, false, TOMORROW, NOW, 'en-US');
    expect(text).toMatch(/^About 9 d 23 h left: /);
    expect(text.length).toBeLessThanOrEqual(LONGEST_WARNING);
  });
});
