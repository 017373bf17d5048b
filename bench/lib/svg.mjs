/** Pure: line charts over a logarithmic x axis as one SVG, readable on light and dark pages. */

const WIDTH = 460;
const HEIGHT = 320;
const PLOT = { left: 70, right: 440, top: 44, bottom: 262 };

const STYLE = `
  .page { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif } .title { font-size: 14px; font-weight: 600 }
  .grid { stroke: #d1d9e0 } .line { stroke: #0969da; stroke-width: 2; fill: none } .dot { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .line { stroke: #58a6ff } .dot { fill: #58a6ff }
  }`;

/**
 * @typedef {object} Chart
 * @property {string} title
 * @property {string} x  label of the axis
 * @property {string} y
 * @property {boolean} [log]  the y axis too; otherwise it begins at 0
 * @property {readonly (readonly [number, number])[]} points  at least two, x ascending and above 0; with `log` y above 0 too
 *
 * @param {readonly Chart[]} charts  side by side
 * @returns {string}
 */
export function svg_of(charts) {
  const width = WIDTH * charts.length;
  const text = charts.map((chart) => `${chart.title}: ${chart.points.map((point) => point.join(' → ')).join(', ')}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(text.join('. '))}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${width}" height="${HEIGHT}"/>`,
    ...charts.map((chart, i) => `<g transform="translate(${i * WIDTH} 0)">\n${chart_of(chart)}\n</g>`),
    '</svg>\n',
  ].join('\n');
}

function chart_of({ title, x, y, log = false, points }) {
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const across = scale(log_ticks(xs), PLOT.left, PLOT.right, Math.log10);
  const up = log
    ? scale(log_ticks(ys), PLOT.bottom, PLOT.top, Math.log10)
    : scale(ticks(Math.max(...ys)), PLOT.bottom, PLOT.top, (value) => value);
  const at = points.map(([px, py]) => [across.place(px), up.place(py)]);
  const middle = { x: (PLOT.left + PLOT.right) / 2, y: (PLOT.top + PLOT.bottom) / 2 };
  return [
    tag('text', { class: 'title', x: PLOT.left, y: 24 }, title),
    ...up.ticks.flatMap(([value, place]) => [
      tag('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: place, y2: place }),
      tag('text', { x: PLOT.left - 8, y: place + 4, 'text-anchor': 'end' }, label(value)),
    ]),
    ...across.ticks.flatMap(([value, place]) => [
      tag('line', { class: 'grid', x1: place, x2: place, y1: PLOT.top, y2: PLOT.bottom }),
      tag('text', { x: place, y: PLOT.bottom + 18, 'text-anchor': 'middle' }, label(value)),
    ]),
    tag('text', { x: middle.x, y: PLOT.bottom + 42, 'text-anchor': 'middle' }, x),
    tag('text', { transform: `translate(18 ${middle.y}) rotate(-90)`, 'text-anchor': 'middle' }, y),
    tag('polyline', { class: 'line', points: at.map((place) => place.join(',')).join(' ') }),
    ...at.map(([cx, cy]) => tag('circle', { class: 'dot', cx, cy, r: 4 })),
  ].join('\n');
}

/** Places values between `from` and `to`, the first tick at `from` and the last at `to`. */
function scale(values, from, to, of) {
  const [first, last] = [of(values[0]), of(values.at(-1))];
  const place = (value) => Math.round((from + ((of(value) - first) / (last - first)) * (to - from)) * 10) / 10;
  return { place, ticks: values.map((value) => [value, place(value)]) };
}

/** Powers of ten around all values, two at least. */
function log_ticks(values) {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

/** From 0 to at least `max` in three to six steps of 1, 2 or 5 times a power of ten. */
function ticks(max) {
  const power = 10 ** Math.floor(Math.log10(max / 3));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => max / size <= 6);
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, i) => i * step);
}

/** 1000 and more with a space between thousands; no more digits than the number has. */
function label(value) {
  return value >= 1000 ? String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f') : String(Number(value.toPrecision(6)));
}

function tag(name, attributes, text) {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(String(value))}"`);
  return `<${name}${written.join('')}${text === undefined ? '/>' : `>${escaped(text)}</${name}>`}`;
}

const escaped = (text) =>
  text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char]);
