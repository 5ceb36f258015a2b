// A row for the head and for each worker: what it is, why, and since when or until when.

import { h } from './dom.js';
import { button, chip } from './parts.js';
import { capital, count, expected, ordinal, span } from './words.js';

/** The table of a cluster's nodes. `view` has `log(pod)`, `off` (why not), `past` (the news' age, s). */
export function table(cluster, view) {
  const rows = [];
  if (cluster.head) {
    rows.push(row('Head', cluster.head, view));
  }
  cluster.workers.forEach((worker, index) =>
    rows.push(row(`Worker ${index + 1}`, worker, view))
  );
  const titles = ['Node', 'State', 'What it waits for or does', 'Time', 'Log'];
  return h(
    'table',
    {
      class: 'rs-rows',
      role: 'table',
      'aria-label': `Nodes of ${cluster.name}`
    },
    h('thead', { class: 'rs-hidden', role: 'rowgroup' }, head(titles)),
    h('tbody', { role: 'rowgroup' }, rows)
  );
}

/** The workers that have ended, the newest first, folded. */
export function ended(cluster, view) {
  if (!cluster.ended.length) {
    return null;
  }
  const rows = cluster.ended.map(one => row('', one, view, true));
  return h(
    'details',
    { class: 'rs-ended-rows', key: 'ended' },
    h('summary', null, `Ended before (${cluster.ended.length})`),
    h(
      'table',
      {
        class: 'rs-rows',
        role: 'table',
        'aria-label': `Ended nodes of ${cluster.name}`
      },
      h('tbody', { role: 'rowgroup' }, rows)
    )
  );
}

function head(titles) {
  return h(
    'tr',
    { role: 'row' },
    titles.map(title => h('th', { scope: 'col', role: 'columnheader' }, title))
  );
}

function row(name, node, view, hasEnded = false) {
  const what = name || (node.pod.includes('-head') ? 'Head' : 'Worker');
  const cell = (kind, ...children) =>
    h('td', { class: `rs-cell-${kind}`, role: 'cell', key: kind }, children);
  return h(
    'tr',
    {
      class: 'rs-row',
      role: 'row',
      key: node.uid || node.pod,
      'data-state': node.state
    },
    cell(
      'who',
      h('span', { class: 'rs-who' }, what),
      node.job_id ? h('span', { class: 'rs-job' }, `job ${node.job_id}`) : null,
      has(node.cpus) && node.cpus + (node.gpus || 0) > 0
        ? h('span', { class: 'rs-job' }, devices(node))
        : null
    ),
    cell('state', chip(node.state)),
    cell('why', why(node, view)),
    cell('time', time(node, view, hasEnded)),
    cell(
      'log',
      hasEnded
        ? null
        : button('Log', () => view.log(node.pod), {
            kind: 'small',
            off: view.off,
            name: `Log of ${what.toLowerCase()}`
          })
    )
  );
}

function devices(node) {
  const gpus = node.gpus ? `, ${count(node.gpus, 'GPU')}` : '';
  return count(node.cpus, 'core') + gpus;
}

function why(node, view) {
  const lines = [];
  const said = node.reason || plain(node);
  if (said || node.raw_reason) {
    const raw = node.raw_reason
      ? h('code', { class: 'rs-raw-word' }, node.raw_reason)
      : null;
    lines.push(h('span', { class: 'rs-line' }, said, raw ? ' ' : null, raw));
  }
  const start = node.expected_start_in_seconds;
  const ahead = [
    node.position ? `${ordinal(node.position)} in line` : '',
    has(start) ? `expected to start ${expected(start - view.past)}` : ''
  ].filter(Boolean);
  if (ahead.length) {
    lines.push(
      h(
        'span',
        { class: 'rs-line rs-ahead-line' },
        capital(ahead.join(', ')),
        '.'
      )
    );
  }
  if (node.note) {
    lines.push(h('span', { class: 'rs-line rs-dim' }, node.note));
  }
  return lines;
}

function plain(node) {
  return node.state === 'joined' && node.address ? `At ${node.address}.` : '';
}

function time(node, view, hasEnded) {
  const lines = [];
  if (has(node.time_left_seconds)) {
    lines.push(
      h(
        'span',
        { class: 'rs-line' },
        `${span(node.time_left_seconds - view.past)} left`
      )
    );
  }
  if (has(node.since_seconds)) {
    const since = span(node.since_seconds + view.past);
    lines.push(
      h(
        'span',
        { class: 'rs-line rs-dim' },
        hasEnded ? `${since} ago` : `for ${since}`
      )
    );
  }
  return lines;
}

function has(value) {
  return value !== null && value !== undefined;
}
