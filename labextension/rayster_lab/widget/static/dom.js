// A small way to keep the page as the state says, without losing focus, cursor or scroll position.

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'path', 'circle']);
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'open']);

/** Describe an element. Children: descriptions, texts, numbers; null, false and '' are nothing. */
export function h(tag, props, ...children) {
  const isThere = child =>
    child !== null && child !== undefined && child !== false && child !== '';
  return {
    tag,
    props: props || {},
    children: children.flat(3).filter(isThere)
  };
}

/** Make the children of `parent` what `wanted` describes; an element stays where tag and key are the same. */
export function patch(parent, wanted) {
  const counts = new Map();
  const names = wanted.map(one => nameOf(one, counts));
  const stay = new Set(names);
  const known = new Map();
  for (const node of [...parent.childNodes]) {
    // First of all, so that what stays need not move: a moved element loses the focus.
    if (stay.has(node.rsName) && !known.has(node.rsName)) {
      known.set(node.rsName, node);
    } else {
      node.remove();
    }
  }
  let place = parent.firstChild;
  wanted.forEach((one, index) => {
    const node = known.get(names[index]) ?? create(one);
    node.rsName = names[index];
    update(node, one);
    if (node === place) {
      place = place.nextSibling;
    } else {
      parent.insertBefore(node, place);
    }
  });
}

function nameOf(one, counts) {
  if (typeof one === 'object' && one.props.key !== undefined) {
    return `${one.tag} key ${one.props.key}`;
  }
  const tag = typeof one === 'object' ? one.tag : '#text';
  const count = counts.get(tag) ?? 0;
  counts.set(tag, count + 1);
  return `${tag} ${count}`;
}

function create(one) {
  if (typeof one !== 'object') {
    return document.createTextNode('');
  }
  return SVG_TAGS.has(one.tag)
    ? document.createElementNS(SVG, one.tag)
    : document.createElement(one.tag);
}

function update(node, one) {
  if (typeof one !== 'object') {
    if (node.data !== String(one)) {
      node.data = String(one);
    }
    return;
  }
  const before = node.rsProps ?? {};
  for (const name of Object.keys(before)) {
    if (!(name in one.props)) {
      set(node, name, undefined);
    }
  }
  node.rsProps = one.props;
  if (!one.props.isOwn) {
    patch(node, one.children);
  }
  // After the children: a select takes a value only when it has its options.
  for (const [name, value] of Object.entries(one.props)) {
    if (before[name] !== value || PROPERTIES.has(name)) {
      set(node, name, value);
    }
  }
}

function set(node, name, value) {
  if (name === 'key' || name === 'isOwn') {
    return;
  }
  if (name.startsWith('on')) {
    listen(node, name.slice(2).toLowerCase());
  } else if (PROPERTIES.has(name)) {
    const wanted = value ?? (name === 'value' ? '' : false);
    if (node[name] !== wanted) {
      node[name] = wanted;
    }
  } else if (value === undefined || value === null || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? '' : value);
  }
}

/** One listener for each kind of event, which calls what the newest description says. */
function listen(node, kind) {
  node.rsKinds ??= new Set();
  if (!node.rsKinds.has(kind)) {
    node.rsKinds.add(kind);
    node.addEventListener(kind, event => {
      const name = Object.keys(node.rsProps).find(
        prop => prop.toLowerCase() === `on${kind}`
      );
      if (name) {
        node.rsProps[name](event);
      }
    });
  }
}
