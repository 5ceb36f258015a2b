// Curves of a training: loss, AUC and speed. Draws what the kernel told last, as SVG, without a library.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 320;
const HEIGHT = 190;
const EDGE = { left: 52, right: 12, top: 12, bottom: 34 };

function element(name, attributes = {}, ...children) {
  const made = name.startsWith('svg:')
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function ticks(low, high) {
  const step0 = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(step0));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= step0);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from(
    { length: last - first + 1 },
    (_, one) => (first + one) * step
  );
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) {
    return `${+(value / 1e6).toPrecision(3)}M`;
  }
  if (size >= 1e4) {
    return `${+(value / 1e3).toPrecision(3)}k`;
  }
  return String(+value.toPrecision(4));
}

function chart(title, xLabel, lines) {
  const shown = lines.filter(line => line.points.length);
  const figure = element(
    'figure',
    { class: 'rt-chart' },
    element('figcaption', {}, title)
  );
  if (!shown.length) {
    figure.append(element('p', { class: 'rt-none' }, 'Nothing yet'));
    return figure;
  }
  const all = shown.flatMap(line => line.points);
  const range = values => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const room = high > low ? 0.05 * (high - low) : Math.abs(high) * 0.05 || 1;
    return [low - room, high + room];
  };
  const [x0, x1] = range(all.map(point => point[0]));
  const [y0, y1] = range(all.map(point => point[1]));
  const x = value =>
    EDGE.left + ((value - x0) / (x1 - x0)) * (WIDTH - EDGE.left - EDGE.right);
  const y = value =>
    HEIGHT -
    EDGE.bottom -
    ((value - y0) / (y1 - y0)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const svg = element('svg:svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: 'img',
    'aria-label': `${title}: ${shown.map(line => `${line.name} ${short(line.points.at(-1)[1])}`).join(', ')}`
  });
  for (const value of ticks(y0, y1)) {
    svg.append(
      element('svg:line', {
        class: 'rt-grid',
        x1: EDGE.left,
        x2: WIDTH - EDGE.right,
        y1: y(value),
        y2: y(value)
      }),
      element(
        'svg:text',
        {
          class: 'rt-tick',
          x: EDGE.left - 6,
          y: y(value) + 4,
          'text-anchor': 'end'
        },
        short(value)
      )
    );
  }
  for (const value of ticks(x0, x1).filter(
    one => Number.isInteger(one) && one >= 0
  )) {
    svg.append(
      element(
        'svg:text',
        {
          class: 'rt-tick',
          x: x(value),
          y: HEIGHT - 18,
          'text-anchor': 'middle'
        },
        short(value)
      )
    );
  }
  svg.append(
    element(
      'svg:text',
      {
        class: 'rt-tick',
        x: (EDGE.left + WIDTH - EDGE.right) / 2,
        y: HEIGHT - 3,
        'text-anchor': 'middle'
      },
      xLabel
    )
  );
  for (const line of shown) {
    const path = line.points.map(
      ([a, b], number) =>
        `${number ? 'L' : 'M'}${x(a).toFixed(1)} ${y(b).toFixed(1)}`
    );
    svg.append(
      element('svg:path', { class: `rt-line ${line.look}`, d: path.join('') })
    );
    if (line.points.length <= 40) {
      for (const [a, b] of line.points) {
        svg.append(
          element('svg:circle', {
            class: `rt-dot ${line.look}`,
            cx: x(a),
            cy: y(b),
            r: 3
          })
        );
      }
    }
  }
  figure.append(svg);
  const legend = element('div', { class: 'rt-legend' });
  for (const line of shown) {
    legend.append(
      element(
        'span',
        { class: `rt-key ${line.look}` },
        `${line.name} ${short(line.points.at(-1)[1])}`
      )
    );
  }
  figure.append(legend);
  return figure;
}

function points(columns, xKey, yKey) {
  const ys = columns?.[yKey] ?? [];
  return (columns?.[xKey] ?? [])
    .map((x, number) => [x, ys[number]])
    .filter(([x, y]) => x !== null && y !== null && y !== undefined);
}

function draw(root, told) {
  const { steps, epochs } = told;
  root.replaceChildren(
    element(
      'div',
      { class: 'rt-head' },
      element('strong', {}, told.title ?? 'Training'),
      element('span', { class: 'rt-dim' }, told.headline ?? '')
    ),
    element(
      'div',
      { class: 'rt-said', role: 'log' },
      ...(told.messages ?? []).map(message => element('div', {}, message))
    ),
    element(
      'div',
      { class: 'rt-charts' },
      chart('Loss (cross-entropy per hit)', 'Step', [
        {
          name: 'training',
          look: 'rt-a',
          points: points(steps, 'step', 'loss')
        },
        {
          name: 'validation',
          look: 'rt-b',
          points: points(epochs, 'step', 'val_loss')
        }
      ]),
      chart('Area under the ROC curve', 'Epoch', [
        {
          name: 'validation',
          look: 'rt-b',
          points: points(epochs, 'epoch', 'val_auc')
        }
      ]),
      chart('Speed (events/s)', 'Step', [
        {
          name: 'training',
          look: 'rt-a',
          points: points(steps, 'step', 'events_per_s')
        }
      ])
    )
  );
}

export default {
  render({ model, el }) {
    const root = element('div', { class: 'rt-curves' });
    el.append(root);
    const update = () => draw(root, model.get('told'));
    model.on('change:told', update);
    update();
    return () => model.off('change:told', update);
  }
};
