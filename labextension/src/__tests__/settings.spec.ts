import { readSettings } from '../settings';

describe('readSettings', () => {
  it('warns at 30, 10 and 2 minutes unless told otherwise', () => {
    expect(readSettings({})).toEqual({ isWarning: true, minutes: [30, 10, 2] });
  });

  it('switches warnings off', () => {
    expect(readSettings({ warnings: false }).isWarning).toBe(false);
  });

  it.each([
    ['in order', [5, 60, 15], [60, 15, 5]],
    ['once each', [5, 5], [5]],
    ['without what is none', [5, -1, 0, 'x', null], [5]],
    ['none at all', [], []],
    ['the default for what is no list', 'soon', [30, 10, 2]]
  ])('takes minutes %s', (_, minutes, expected) => {
    expect(readSettings({ minutes }).minutes).toEqual(expected);
  });
});
