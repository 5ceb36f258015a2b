/** Which warning is due, and which were given. */

/** How pressing it is: nothing passed, some of the warnings passed, the last one passed. */
export type Urgency = 'calm' | 'soon' | 'last';

/** Return how pressing `secondsLeft` is; `minutes` are those of the warnings. */
export function urgency(
  secondsLeft: number,
  minutes: readonly number[]
): Urgency {
  const passed = minutes.filter(limit => secondsLeft <= limit * 60);
  if (passed.length === 0) {
    return 'calm';
  }
  return passed.length === minutes.length ? 'last' : 'soon';
}

/** Where given warnings are remembered; a browser's session storage is one. */
export type Memory = Pick<Storage, 'getItem' | 'setItem'>;

/** Gives each warning once per run of the server and browser tab. */
export class Warnings {
  constructor(private readonly memory: Memory) {}

  /**
   * Return whether a warning is due now, and take it as given.
   *
   * Of several that have passed only the most urgent one is due. The last one
   * of all is due again after a reload, which has removed it from the page.
   */
  take(
    secondsLeft: number,
    minutes: readonly number[],
    runId: string
  ): Exclude<Urgency, 'calm'> | null {
    const pressing = urgency(secondsLeft, minutes);
    if (pressing === 'calm') {
      return null;
    }
    const limit = Math.min(...minutes.filter(each => secondsLeft <= each * 60));
    const given = runId === this.runId ? this.given : this.recall(runId);
    if (limit >= given) {
      return null;
    }
    this.runId = runId;
    this.given = limit;
    if (pressing === 'soon') {
      this.memory.setItem(key(runId), String(limit));
    }
    return pressing;
  }

  private recall(runId: string): number {
    const stored = Number(this.memory.getItem(key(runId)) ?? NaN);
    return isNaN(stored) ? Infinity : stored;
  }

  private runId: string | null = null;
  /** The most urgent warning given, in minutes. */
  private given = Infinity;
}

function key(runId: string): string {
  return `rayster-lab:warned:${runId}`;
}
