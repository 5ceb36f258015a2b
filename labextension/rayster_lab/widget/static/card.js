// One cluster: its state, what is wrong, what is used, its nodes, and what can be done.

import { h } from './dom.js';
import { actions } from './deeds.js';
import { logView } from './log.js';
import { button, chip, icon, meter, note } from './parts.js';
import { ended, table } from './rows.js';
import { amounts, moment, span } from './words.js';

const TONES = {
  idle: 'warm',
  'worker-lost': 'warm',
  'worker-failed': 'warm',
  'site-unreachable': 'warm'
};

/** `view`: what the panel knows and does; `isOpen`: the card shows more than its head. */
export function card(cluster, view, isOpen, canFold) {
  const name = `${view.id}-${cluster.id}`;
  return h(
    'section',
    {
      class: 'rs-cluster',
      key: cluster.id,
      'aria-labelledby': `${name}-title`,
      'data-state': cluster.state
    },
    header(cluster, view, isOpen, canFold, name),
    isOpen ? body(cluster, view, name) : null
  );
}

function header(cluster, view, isOpen, canFold, name) {
  const title = h('span', { class: 'rs-cluster-name' }, cluster.name);
  const isMine = view.attached?.cluster === cluster.id && !view.attached.lost;
  const facts = [
    cluster.name === cluster.id ? '' : cluster.id,
    `${cluster.profile}${cluster.site && cluster.site !== cluster.profile ? ` at ${cluster.site}` : ''}`,
    `since ${moment(new Date(cluster.requested_at * 1000))}`
  ].filter(Boolean);
  return h(
    'div',
    { class: 'rs-cluster-head' },
    h(
      'h3',
      { id: `${name}-title`, class: 'rs-cluster-title' },
      canFold
        ? h(
            'button',
            {
              type: 'button',
              class: 'rs-fold',
              'aria-expanded': isOpen ? 'true' : 'false',
              onClick: () => view.fold(cluster.id)
            },
            title
          )
        : title
    ),
    chip(cluster.state),
    isMine
      ? h('span', { class: 'rs-badge' }, icon('link'), 'This notebook')
      : null,
    h('p', { class: 'rs-facts-line' }, facts.join(' · ')),
    h('p', { class: 'rs-message' }, cluster.message)
  );
}

function body(cluster, view, name) {
  return [
    notes(cluster, view),
    meters(cluster, view),
    table(cluster, view.ofCluster(cluster)),
    ended(cluster, view.ofCluster(cluster)),
    actions(cluster, view, name),
    view.state.log?.cluster === cluster.id
      ? logView(view.state.log, view)
      : null,
    footer(cluster, view)
  ];
}

function notes(cluster, view) {
  const stops = cluster.idle?.stops_in_seconds;
  const isCounted = stops !== null && stops !== undefined;
  const left = isCounted ? ` That is in ${span(stops - view.past)}.` : '';
  const found = cluster.problems.map(one =>
    note(
      TONES[one.code] ?? 'danger',
      one.message + (one.code === 'idle' ? left : ''),
      one.do
    )
  );
  if (view.attached?.cluster === cluster.id && view.attached.lost) {
    found.push(note('danger', view.attached.lost));
  }
  const said = view.state.said[cluster.id];
  if (said) {
    found.push(note(said.tone, said.text));
  }
  return found.length
    ? h('div', { class: 'rs-notes', key: 'notes' }, found)
    : null;
}

function meters(cluster, view) {
  const { resources } = cluster;
  const found = [
    meter('Workers', cluster.joined, cluster.wanted.workers, 'joined')
  ];
  if (resources) {
    found.push(
      meter('CPUs', resources.cpus_used, resources.cpus_total, 'in use')
    );
    if (resources.gpus_total) {
      found.push(
        meter('GPUs', resources.gpus_used, resources.gpus_total, 'in use')
      );
    }
  }
  const left = cluster.time_left_seconds;
  if (left !== null && left !== undefined) {
    const ends = moment(new Date(Date.now() + (left - view.past) * 1000));
    found.push(
      h(
        'div',
        { class: 'rs-meter', key: 'left' },
        h('span', { class: 'rs-meter-label' }, 'Time left'),
        h('span', { class: 'rs-big' }, span(left - view.past)),
        h('span', { class: 'rs-meter-text' }, `ends about ${ends}`)
      )
    );
  }
  return h('div', { class: 'rs-meters', key: 'meters' }, found);
}

function footer(cluster, view) {
  const code = `RayCluster.connect("${cluster.id}")`;
  const url = cluster.dashboard_url;
  const isCopied = view.hasJustCopied(code);
  const isSafe = /^(\/(?!\/)|https?:\/\/)/.test(url);
  return h(
    'div',
    { class: 'rs-footer', key: 'footer' },
    h(
      'span',
      { class: 'rs-code' },
      h('code', null, code),
      button(
        [icon(isCopied ? 'check' : 'copy'), isCopied ? 'Copied' : 'Copy'],
        () => view.copy(code),
        { kind: 'small', name: `Copy ${code}` }
      )
    ),
    isSafe && cluster.head?.state === 'joined'
      ? h(
          'a',
          {
            class: 'rs-link',
            href: url,
            target: '_blank',
            rel: 'noopener noreferrer'
          },
          icon('link'),
          'Ray dashboard'
        )
      : null,
    h(
      'span',
      { class: 'rs-dim' },
      `Each worker: ${amounts(cluster.wanted)}. Ray ${cluster.ray_version || '?'}.`
    )
  );
}
