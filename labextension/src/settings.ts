/** What a user may change. */

export interface IWarningSettings {
  /** Whether warnings pop up; the colours of the status bar stay. */
  isWarning: boolean;
  /** Minutes before the end, the first warning first. */
  minutes: readonly number[];
}

export const DEFAULT_SETTINGS: IWarningSettings = {
  isWarning: true,
  minutes: [30, 10, 2]
};

/** Read the settings; what the schema would not let through falls back to the default. */
export function readSettings(
  composite: Readonly<Record<string, unknown>>
): IWarningSettings {
  const { warnings, minutes } = composite;
  return {
    isWarning: warnings !== false,
    minutes: Array.isArray(minutes)
      ? [...new Set(minutes.filter(isLimit))].sort((a, b) => b - a)
      : DEFAULT_SETTINGS.minutes
  };
}

function isLimit(minutes: unknown): minutes is number {
  return typeof minutes === 'number' && minutes > 0;
}
