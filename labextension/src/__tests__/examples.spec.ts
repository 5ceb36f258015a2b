import { parseExamples } from '../examples';

jest.mock('@jupyterlab/coreutils', () => ({}), { virtual: true });
jest.mock('@jupyterlab/services', () => ({}), { virtual: true });

const EXAMPLE = { name: '1-look', title: 'First look', description: 'Events.' };

describe('parseExamples', () => {
  it('takes what the server tells, and no more of it', () => {
    const told = { examples: [{ ...EXAMPLE, more: 1 }] };
    expect(parseExamples(told)).toEqual([EXAMPLE]);
  });

  it('takes an empty list', () => {
    expect(parseExamples({ examples: [] })).toEqual([]);
  });

  it.each([
    ['nothing', undefined],
    ['no list', { examples: 'x' }],
    ['an example without a title', { examples: [{ ...EXAMPLE, title: null }] }],
    ['null as an example', { examples: [null] }]
  ])('refuses %s', (_, answer) => {
    expect(() => parseExamples(answer)).toThrow(TypeError);
  });
});
