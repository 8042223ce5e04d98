'use strict';
document.documentElement.className = 'js';
addEventListener('DOMContentLoaded', () => {
const FIRST = 25, STEP = 100;
const find = id => document.getElementById(id);
const table = find('nodes');
document.body.dataset.ready = '0';
if (!table) return;
const tiles = [...document.querySelectorAll('#tiles li')];
const STATUSES = tiles.map(tile => tile.dataset.status);
const nodes = [...table.tBodies].map(body => ({
  body, row: body.rows[0], name: body.rows[0].cells[0].textContent,
  status: body.dataset.status, cells: [...body.dataset.cells]}));
const names = new Intl.Collator('en', {numeric: true});
let order = {column: 1, down: false}, only = null, query = '', limit = FIRST;
let hits = nodes, shown = [];

function make(tag, text, settings = {}) {
  const element = document.createElement(tag);
  if (text !== null) element.textContent = text;
  return Object.assign(element, settings);
}
function plural(number, word) {
  return number + ' ' + word + (number === 1 ? '' : 's');
}

// The table

function toggle(node, open = !node.body.classList.contains('open')) {
  node.body.classList.toggle('open', open);
  node.button.setAttribute('aria-expanded', open);
}
function prepare(node) {
  if (node.button) return;
  const cell = node.row.cells[0];
  node.button = make('button', null, {type: 'button'});
  node.button.append(...cell.childNodes);
  cell.append(node.button);
  toggle(node, false);
  node.row.onclick = () => {
    if (!String(getSelection()) || document.activeElement === node.button) toggle(node);
  };
}
function draw() {
  shown.forEach(node => node.body.classList.remove('on'));
  shown = hits.slice(0, limit);
  shown.forEach(prepare);
  shown.forEach(node => node.body.classList.add('on'));
  table.append(...shown.map(node => node.body));
  more.hidden = hits.length <= limit;
  clear.hidden = !only && !query;
  count.textContent = plural(hits.length, 'node') +
    (hits.length > limit ? ', the first ' + limit + ' are shown' : '');
}
function value(node) {
  const cell = node.row.cells[order.column];
  return 'sort' in cell.dataset ? Number(cell.dataset.sort) : cell.textContent;
}
function text(node) {
  node.text ??= node.body.textContent.toLowerCase();
  return node.text;
}
// Words between quotes are found one after the other, and whole.
function has(node, word) {
  return /^".+"$/.test(word) ? text(node).includes(' ' + word.slice(1, -1) + ' ')
    : text(node).includes(word);
}
function choose() {
  const words = query.toLowerCase().match(/"[^"]+"|\S+/g) || [];
  const sign = order.down ? -1 : 1;
  hits = nodes.filter(node => (!only || node.status === only)
    && words.every(word => has(node, word)));
  const keys = new Map(hits.map(node => [node, value(node)]));
  const compare = (a, b) => typeof a === 'number' ? a - b : names.compare(a, b);
  hits.sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || names.compare(a.name, b.name));
  heads.forEach((head, at) => head.setAttribute('aria-sort',
    at === order.column ? (order.down ? 'descending' : 'ascending') : 'none'));
  tiles.forEach(tile => tile.firstChild.setAttribute('aria-pressed', tile.dataset.status === only));
  draw();
  paint();
}
function search(words) {
  input.value = query = words;
  limit = FIRST;
  choose();
}

const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, at) => {
  const button = make('button', null, {type: 'button'});
  button.append(...head.childNodes);
  head.append(button);
  button.onclick = () => {
    order = {column: at, down: order.column === at && !order.down};
    choose();
  };
});
const input = make('input', null, {type: 'search', id: 'search',
  placeholder: 'Search: node, product, serial number, firmware, trait, profile'});
input.setAttribute('aria-label', 'Search the nodes');
input.oninput = () => { query = input.value; limit = FIRST; choose(); };
const clear = make('button', 'Show all nodes', {type: 'button', hidden: true});
clear.onclick = () => { only = null; search(''); input.focus(); };
const count = make('span', '', {className: 'soft'});
count.setAttribute('role', 'status');
find('tools').append(input, clear, count);
const more = make('button', 'Show more', {type: 'button', hidden: true});
more.onclick = () => { limit += STEP; draw(); };
find('list').append(more);

// The tiles filter, and a version searches

tiles.forEach(tile => {
  const button = make('button', null, {type: 'button', className: 'tile'});
  button.append(...tile.firstChild.childNodes);
  button.onclick = () => {
    only = only === tile.dataset.status ? null : tile.dataset.status;
    limit = FIRST;
    choose();
  };
  tile.replaceChildren(button);
});
document.querySelectorAll('#versions .version').forEach(cell => {
  if (cell.textContent === 'unknown') return;
  const component = cell.closest('tbody').rows[0].cells[0].textContent;
  const words = component + ' ' + cell.textContent;
  const button = make('button', null, {type: 'button', title: 'Show the nodes with ' + words});
  button.append(...cell.childNodes);
  button.onclick = () => {
    only = null;
    search('"' + words + '"');
    find('list').scrollIntoView();
    input.focus();
  };
  cell.append(button);
});

// The picture

const canvas = find('picture'), tip = make('div', null, {id: 'tip'});
const fleet = [...nodes].sort((a, b) => names.compare(a.name, b.name));
let grid = null;
document.body.append(tip);
function paint() {
  const style = getComputedStyle(document.documentElement);
  const colours = STATUSES.map(status => style.getPropertyValue(
    '--' + status.replace(' ', '-')).trim());
  const width = canvas.clientWidth || 320, scale = devicePixelRatio || 1;
  const tall = fleet.reduce((most, node) => Math.max(most, node.cells.length), 1);
  const cell = fleet.length > 600 ? 6 : fleet.length > 120 ? 9 : 14, step = cell + 1;
  const across = Math.max(1, Math.floor(width / (step + 1))), band = tall * step + 6;
  const height = Math.ceil(fleet.length / across) * band;
  canvas.style.height = height + 'px';
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext('2d'), kept = new Set(hits);
  context.scale(scale, scale);
  fleet.forEach((node, at) => {
    const x = (at % across) * (step + 1), y = Math.floor(at / across) * band;
    context.globalAlpha = kept.has(node) ? 1 : .15;
    node.cells.forEach((status, row) => {
      context.fillStyle = colours[status];
      context.fillRect(x, y + row * step, cell, cell);
    });
    if (!node.cells.length) {
      context.fillStyle = colours[STATUSES.indexOf(node.status)];
      context.fillRect(x, y + cell / 2 - 1, cell, 2);
    }
  });
  grid = {across, band, step};
}
function under(event) {
  const box = canvas.getBoundingClientRect(), y = event.clientY - box.top;
  const x = Math.floor((event.clientX - box.left) / (grid.step + 1));
  const node = x < 0 || x >= grid.across ? undefined
    : fleet[Math.floor(y / grid.band) * grid.across + x];
  return node && {node, row: Math.floor((y % grid.band) / grid.step)};
}
canvas.onmousemove = event => {
  const at = under(event);
  tip.hidden = !at;
  if (!at) return;
  const status = at.node.cells[at.row];
  tip.textContent = at.node.name + ', ' + at.node.status + (status === undefined ? ''
    : ': device ' + (at.row + 1) + ' of ' + at.node.cells.length + ', ' + STATUSES[status]);
  tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + 'px';
  tip.style.top = event.clientY + 14 + 'px';
};
canvas.onmouseleave = () => { tip.hidden = true; };
canvas.onclick = event => {
  const at = under(event);
  if (!at) return;
  only = null;
  search(at.node.body.querySelector('.uuid').textContent);
  toggle(at.node, true);
};
tip.hidden = true;

addEventListener('resize', paint);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
let linked = location.hash.slice(1);
try { linked = decodeURIComponent(linked); } catch { /* The text is searched as it is. */ }
search(find(linked) ? '' : linked);
document.body.dataset.ready = String(Math.max(1, Math.round(performance.now())));
});
