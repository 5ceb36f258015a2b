// The log of a node: follows what is printed, keeps a bounded part of it.

import { h } from './dom.js';
import { button } from './parts.js';

const MOST_LINES = 2000;

/** A log that has just been opened. */
export function newLog(cluster, pod, title) {
  return {
    cluster,
    pod,
    title,
    lines: [],
    cut: 0,
    end: null,
    isFollowed: true
  };
}

/** Add what has come. */
export function addLines(log, lines, end) {
  log.lines.push(...lines);
  const tooMany = log.lines.length - MOST_LINES;
  if (tooMany > 0) {
    log.lines.splice(0, tooMany);
    log.cut += tooMany;
  }
  log.end = end ?? log.end;
}

export function logView(log, view) {
  const text = log.lines.join('\n');
  const said =
    log.end ?? (log.lines.length ? '' : 'Waiting for the first line…');
  return h(
    'div',
    {
      class: 'rs-log-view',
      key: 'log',
      role: 'region',
      'aria-label': `Log of ${log.title}`
    },
    h(
      'div',
      { class: 'rs-log-head' },
      h('strong', null, `Log of ${log.title}`),
      h('code', { class: 'rs-raw-word' }, log.pod),
      h(
        'span',
        { class: 'rs-btns' },
        h(
          'label',
          { class: 'rs-check' },
          h('input', {
            type: 'checkbox',
            checked: log.isFollowed,
            onChange: event => view.follow(event.target.checked)
          }),
          'Follow'
        ),
        button(
          view.hasJustCopied(text) ? 'Copied' : 'Copy',
          () => view.copy(text),
          {
            kind: 'small',
            name: 'Copy the log'
          }
        ),
        button('Close', view.closeLog, { kind: 'small', name: 'Close the log' })
      )
    ),
    log.cut
      ? h(
          'p',
          { class: 'rs-dim' },
          `${log.cut} earlier lines are not kept here; cluster.logs() has them.`
        )
      : null,
    h(
      'pre',
      {
        class: 'rs-log-text',
        tabindex: 0,
        'aria-label': 'Text of the log',
        onScroll: event => view.scrolled(event.target)
      },
      text
    ),
    said ? h('p', { class: 'rs-dim', role: 'status' }, said) : null
  );
}

/** Go to the newest line when it is followed. Called when the page is as the state says. */
export function keepAtEnd(root, log) {
  const pre = root.querySelector('.rs-log-text');
  if (pre && log.isFollowed) {
    pre.scrollTop = pre.scrollHeight;
  }
}
