/** What is left of a walltime, counted between two answers of the server. */

/** An answer of the server extension. */
export interface IWalltime {
  /** Seconds, or null when this server has no walltime. */
  secondsLeft: number | null;
  /** False when the start of the job had to be guessed. */
  isExact: boolean;
  /** Another one for each run of the server, so for each job. */
  runId: string;
}

/**
 * Read an answer of the server extension.
 *
 * @throws TypeError when it is none.
 */
export function parseWalltime(answer: unknown): IWalltime {
  const fields = (answer ?? {}) as Record<string, unknown>;
  const {
    seconds_left: secondsLeft,
    is_exact: isExact,
    run_id: runId
  } = fields;
  if (
    (secondsLeft === null || Number.isFinite(secondsLeft)) &&
    typeof isExact === 'boolean' &&
    typeof runId === 'string'
  ) {
    return { secondsLeft: secondsLeft as number | null, isExact, runId };
  }
  throw new TypeError(`Not a walltime: ${JSON.stringify(answer)}`);
}

/**
 * Counts down from the last answer. Only differences of the browser's clock
 * count, so a wrong one does no harm.
 */
export class Countdown {
  constructor(private readonly now: () => number = Date.now) {}

  /** The last answer, or null before the first. */
  get walltime(): IWalltime | null {
    return this.heard?.walltime ?? null;
  }

  /** Seconds left, not below 0; null when there is no walltime to count. */
  get secondsLeft(): number | null {
    const left = this.heard?.walltime.secondsLeft;
    if (!this.heard || left === null || left === undefined) {
      return null;
    }
    const elapsed = Math.max(0, this.now() - this.heard.at) / 1000;
    return Math.max(0, left - elapsed);
  }

  /** The end on the browser's own clock, where the reader compares it. */
  get end(): Date | null {
    const left = this.secondsLeft;
    return left === null ? null : new Date(this.now() + left * 1000);
  }

  hear(walltime: IWalltime): void {
    this.heard = { walltime, at: this.now() };
  }

  private heard: { walltime: IWalltime; at: number } | null = null;
}

/** Hidden tabs are woken once a minute; a longer gap is a computer that slept. */
const LONGEST_GAP_MS = 90_000;

/** Tell whether a clock read at two ticks in a row cannot be trusted between them. */
export function isClockInDoubt(previous: number, now: number): boolean {
  return now < previous || now - previous > LONGEST_GAP_MS;
}
