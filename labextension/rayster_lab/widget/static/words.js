// How the panel says amounts, times and states to people.

const SOON_SECONDS = 45;
const DAY_MILLISECONDS = 24 * 3600 * 1000;

export const STATES = {
  submitted: { word: 'Submitted', icon: 'sent', tone: 'quiet' },
  queued: { word: 'Queued', icon: 'hourglass', tone: 'warm' },
  starting: { word: 'Starting', icon: 'turning', tone: 'accent' },
  joined: { word: 'Joined', icon: 'check', tone: 'good' },
  running: { word: 'Running', icon: 'check', tone: 'good' },
  lost: { word: 'Lost', icon: 'warning', tone: 'danger' },
  failed: { word: 'Failed', icon: 'cross', tone: 'danger' },
  stopping: { word: 'Stopping', icon: 'stop', tone: 'quiet' },
  suspended: { word: 'Stopped', icon: 'pause', tone: 'quiet' },
  stopped: { word: 'Gone', icon: 'stop', tone: 'quiet' },
  unknown: { word: 'Unknown', icon: 'question', tone: 'quiet' }
};

export function stateOf(word) {
  return STATES[word] ?? STATES.unknown;
}

/** Seconds for reading: "40 s", "12 min", "3 h 05 min", "4 d". */
export function span(seconds) {
  if (seconds < 60) {
    return `${Math.max(0, Math.floor(seconds))} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return hours >= 48
    ? `${Math.floor(hours / 24)} d`
    : `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** 1st, 2nd, 3rd, 4th, 11th, 21st. */
export function ordinal(number) {
  const isTeen = number % 100 >= 11 && number % 100 <= 13;
  return `${number}${isTeen ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th')}`;
}

export function count(number, thing) {
  return `${round(number)} ${thing}${number === 1 ? '' : 's'}`;
}

/** A number as short as it is true enough: 4, 0.5, 1.25. */
export function round(number) {
  return String(Math.round(number * 100) / 100);
}

export function memory(mib) {
  return mib >= 1024 ? `${round(mib / 1024)} GiB` : `${mib} MiB`;
}

/** Minutes as a walltime is written: "90 min" stays "1 h 30 min". */
export function walltime(minutes) {
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return (
    [hours ? `${hours} h` : '', rest ? `${rest} min` : '']
      .filter(Boolean)
      .join(' ') || '0 min'
  );
}

/** A moment near today, in the reader's time: "15:20", "tomorrow, 03:10", "Fri 27 Nov, 15:20". */
export function moment(date, now = new Date()) {
  return (
    day(date, now) +
    date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  );
}

/** When something that is `seconds` away will be: "about 15:20, in 14 min". */
export function expected(seconds, now = new Date()) {
  if (seconds < SOON_SECONDS) {
    return 'any moment now';
  }
  const rounded = Math.round(seconds / 60) * 60;
  const date = new Date(now.getTime() + rounded * 1000);
  const clock = date.toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit'
  });
  return `${day(date, now)}about ${clock}, in ${span(rounded)}`;
}

function day(date, now) {
  const midnight = one =>
    new Date(one.getFullYear(), one.getMonth(), one.getDate()).getTime();
  const days = Math.round((midnight(date) - midnight(now)) / DAY_MILLISECONDS);
  const near = { 0: '', 1: 'tomorrow, ', '-1': 'yesterday, ' }[days];
  return (
    near ??
    `${date.toLocaleDateString([], { weekday: 'short', day: 'numeric', month: 'short' })}, `
  );
}

/** What one worker gets: "2 cores, 4 GiB, 1 GPU for 2 h". */
export function amounts(wanted) {
  const parts = [count(wanted.cpus, 'core'), memory(wanted.memory_mib)];
  if (wanted.gpus) {
    parts.push(count(wanted.gpus, 'GPU'));
  }
  const until = wanted.walltime_minutes
    ? ` for ${walltime(wanted.walltime_minutes)}`
    : '';
  return parts.join(', ') + until;
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
