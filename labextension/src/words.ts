/** What is said about a walltime. */

const LOSSES =
  'Saved files are kept; running kernels, terminals and unsaved changes are lost.';

/** Return an amount such as "2 h 14 min", rounded down so that it promises nothing. */
export function amount(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) {
    return `${days} d ${hours % 24} h`;
  }
  if (hours > 0) {
    return `${hours} h ${minutes % 60} min`;
  }
  return minutes > 0 ? `${minutes} min` : 'less than 1 min';
}

/** Return what the status bar says. */
export function timeLeft(seconds: number, isExact: boolean): string {
  if (seconds <= 0) {
    return 'Walltime reached';
  }
  return `${about(seconds >= 60 && !isExact)}${amount(seconds)} left`;
}

/** Return a time of day, with its day unless that is today. */
export function clockTime(time: Date, now: Date, locale?: string): string {
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: 'short' });
  if (time.toDateString() === now.toDateString()) {
    return clock.format(time);
  }
  const day = new Intl.DateTimeFormat(locale, {
    weekday: 'short',
    day: 'numeric',
    month: 'short'
  });
  return `${day.format(time)}, ${clock.format(time)}`;
}

/** Return when this server ends, and what that means. */
export function whatHappens(
  end: Date,
  now: Date,
  isExact: boolean,
  locale?: string
): string {
  const time = clockTime(end, now, locale);
  return `This server ends at ${about(!isExact)}${time}, when its walltime is over. ${LOSSES}`;
}

/** JupyterLab cuts longer notifications off. */
export const LONGEST_WARNING = 140;

/** Return the text of a warning. */
export function warning(
  seconds: number,
  isExact: boolean,
  end: Date,
  now: Date,
  locale?: string
): string {
  const left = timeLeft(seconds, isExact);
  const sentence = left.charAt(0).toUpperCase() + left.slice(1);
  const time = clockTime(end, now, locale);
  return (
    `${sentence}: this server ends at ${time}. ` +
    'Save your work: kernels and terminals end with it.'
  );
}

function about(isSaid: boolean): string {
  return isSaid ? 'about ' : '';
}
