import {
  Countdown,
  isClockInDoubt,
  IWalltime,
  parseWalltime
} from '../walltime';

const ANSWER: IWalltime = { secondsLeft: 600, isExact: true, runId: 'a' };

function countdownAt(start: number) {
  const clock = { now: start };
  return { clock, countdown: new Countdown(() => clock.now) };
}

describe('parseWalltime', () => {
  it('reads an answer', () => {
    expect(
      parseWalltime({
        seconds_left: 600,
        is_exact: true,
        source: 'slurm',
        run_id: 'a'
      })
    ).toEqual(ANSWER);
  });

  it('reads that there is no walltime', () => {
    const answer = parseWalltime({
      seconds_left: null,
      is_exact: false,
      source: null,
      run_id: 'a'
    });
    expect(answer.secondsLeft).toBeNull();
  });

  it.each([
    ['nothing', null],
    ['a page', '<html>'],
    [
      'a text for a number',
      { seconds_left: '60', is_exact: true, run_id: 'a' }
    ],
    ['no number', { is_exact: true, run_id: 'a' }],
    ['no run', { seconds_left: 60, is_exact: true }]
  ])('refuses %s', (_, answer) => {
    expect(() => parseWalltime(answer)).toThrow(TypeError);
  });
});

describe('Countdown', () => {
  it('has nothing to count before the first answer', () => {
    const { countdown } = countdownAt(0);
    expect(countdown.secondsLeft).toBeNull();
    expect(countdown.end).toBeNull();
  });

  it('has nothing to count without a walltime', () => {
    const { countdown } = countdownAt(0);
    countdown.hear({ ...ANSWER, secondsLeft: null });
    expect(countdown.secondsLeft).toBeNull();
  });

  it('counts between two answers', () => {
    const { clock, countdown } = countdownAt(5000);
    countdown.hear(ANSWER);
    clock.now += 90_000;
    expect(countdown.secondsLeft).toBe(510);
  });

  it('keeps its end while it counts', () => {
    const { clock, countdown } = countdownAt(5000);
    countdown.hear(ANSWER);
    clock.now += 90_000;
    expect(countdown.end?.getTime()).toBe(605_000);
  });

  it('believes a newer answer', () => {
    const { clock, countdown } = countdownAt(0);
    countdown.hear(ANSWER);
    clock.now += 90_000;
    countdown.hear({ ...ANSWER, secondsLeft: 300 });
    expect(countdown.secondsLeft).toBe(300);
  });

  it('stops at nothing left', () => {
    const { clock, countdown } = countdownAt(0);
    countdown.hear(ANSWER);
    clock.now += 3600_000;
    expect(countdown.secondsLeft).toBe(0);
  });

  it('does not count up when the clock is set back', () => {
    const { clock, countdown } = countdownAt(3600_000);
    countdown.hear(ANSWER);
    clock.now = 0;
    expect(countdown.secondsLeft).toBe(600);
  });
});

describe('isClockInDoubt', () => {
  it.each([
    ['a second', 1000, false],
    ['a hidden tab', 61_000, false],
    ['a computer that slept', 3600_000, true],
    ['a clock set back', -1000, true]
  ])('judges %s', (_, gap, expected) => {
    expect(isClockInDoubt(1e12, 1e12 + gap)).toBe(expected);
  });
});
