// The styles of tiles and walls. A page can set the --ocelli-* properties; light and dark follow its color-scheme.
// Texts over pictures have the same colours in both schemes.

const TILE = `
  :host {
    isolation: isolate;
    --live: var(--ocelli-live, #4cc38a);
    --warn: var(--ocelli-warn, #ffb224);
    --bad: var(--ocelli-bad, #ff8a80);
    --bad-ground: var(--ocelli-bad-ground, #8f1d22);
    --cool: var(--ocelli-cool, #7cc4ff);
    --focus: var(--ocelli-focus, #4da3ff);
    --ink: #f4f6f8;
    --ink-soft: #c3cad2;
    --ground: #0c0f13;
    font: 13px/1.35 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
    color: var(--ink);
  }
  [hidden] { display: none !important; }
  .icon { inline-size: 1em; block-size: 1em; fill: currentColor; flex: none; }
  .tile { position: absolute; overflow: hidden; container: tile / size; }
  .tile[hidden] { display: none; }
  .picture, .open, .overlay { position: absolute; inset: 0; }
  .picture :is(img, canvas, video) { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: contain; display: block; }
  .picture :is(img, canvas, .playing) { background: var(--ground); }
  .picture img.empty { visibility: hidden; }
  .open { appearance: none; border: 0; padding: 0; margin: 0; background: none; cursor: pointer; inline-size: 100%; }
  .tile::after {
    content: ''; position: absolute; inset: 0; pointer-events: none; z-index: 3;
    box-shadow: inset 0 0 0 1px rgb(255 255 255 / 0.08);
  }
  .tile[data-tone='stale']::after, .tile[data-tone='failed']::after { box-shadow: inset 0 0 0 2px var(--bad-ground); }
  .tile[data-tone='stalled']::after { box-shadow: inset 0 0 0 2px rgb(255 178 36 / 0.65); }
  .tile[data-tone='frozen']::after { box-shadow: inset 0 0 0 2px rgb(124 196 255 / 0.75); }
  @media (hover: hover) { .tile:has(.open:hover)::after { box-shadow: inset 0 0 0 2px rgb(255 255 255 / 0.4); } }
  .tile:has(.open:focus-visible)::after { box-shadow: inset 0 0 0 3px var(--focus), inset 0 0 0 4px rgb(0 0 0 / 0.6); }
  .open:focus { outline: none; }
  .bar {
    position: absolute; inset: auto 0 0 0; display: flex; align-items: center; gap: 0.5em; min-inline-size: 0;
    padding: 0.3em 0.6em; background: rgb(8 10 13 / 0.78); pointer-events: none; white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .bar .icon { inline-size: 0.85em; block-size: 0.85em; color: var(--ink-soft); }
  .name { flex: 1 1 auto; overflow: hidden; text-overflow: ellipsis; font-weight: 600; }
  /* Only the name shrinks: a number that is cut off would be wrong. */
  .bar > :not(.name) { flex: none; }
  .label, .rate, .format, .why { color: var(--ink-soft); }
  .format { pointer-events: auto; cursor: pointer; }
  .why { display: none; }
  .bar > .why { flex: 0 8 auto; overflow: hidden; text-overflow: ellipsis; }
  .bar > .label { flex: 0 1 auto; overflow: hidden; text-overflow: ellipsis; }
  .age { text-align: end; min-inline-size: 4.2em; }
  .age:empty { min-inline-size: 0; }
  .age.stale { color: #fff; background: var(--bad-ground); border-radius: 3px; padding: 0 0.35em; font-weight: 600; }
  :is(.codec, .quality) {
    pointer-events: auto; z-index: 2; appearance: none; font: inherit; color: var(--ink-soft); background: none; cursor: pointer;
    border: 1px solid rgb(255 255 255 / 0.3); border-radius: 4px; padding: 0 0.4em; min-block-size: 24px;
  }
  .quality { field-sizing: content; }
  .quality option { color: CanvasText; background: Canvas; }
  :is(.codec, .quality):hover { color: var(--ink); border-color: var(--ink-soft); }
  :is(.codec, .quality):focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
  .sounds { display: flex; align-items: center; gap: 0.4em; margin-block: -4px; pointer-events: auto; z-index: 2; }
  .sound {
    appearance: none; display: grid; place-items: center; inline-size: 26px; block-size: 24px; padding: 0; border: 0;
    border-radius: 4px; color: var(--ink-soft); background: none; cursor: pointer;
  }
  .sound:hover { color: var(--ink); background: rgb(255 255 255 / 0.14); }
  .sound:focus-visible, .volume:focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
  .sound[data-state='on'] { color: var(--live); }
  .sound[data-state='waiting'] { color: var(--warn); }
  .sound[aria-disabled='true'] { cursor: default; opacity: 0.7; }
  .volume { inline-size: 72px; block-size: 20px; margin: 0; accent-color: var(--ink-soft); cursor: pointer; }
  [data-tone='live'] .bar .icon { color: var(--live); }
  [data-tone='live'] .label { display: none; }
  [data-tone='reduced'] .bar .icon { color: var(--warn); }
  [data-tone='stale'] .bar .icon, [data-tone='stale'] .label { color: var(--bad); }
  [data-tone='failed'] :is(.bar .icon, .label, .overlay > .icon) { color: var(--bad); }
  [data-tone='stalled'] :is(.bar .icon, .label, .overlay > .icon) { color: var(--warn); }
  [data-tone='frozen'] :is(.bar .icon, .label) { color: var(--cool); }
  .tile .bar .sound .icon { inline-size: 16px; block-size: 16px; color: inherit; }
  .overlay {
    --bar: 26px; /* at least the height of the bar, which it must not overlap */
    display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 0.35em;
    padding: 0.5em 1em calc(var(--bar) + 3px); text-align: center; background: rgb(12 15 19 / 0.82); pointer-events: none;
  }
  .overlay > .icon { inline-size: 1.7em; block-size: 1.7em; color: var(--ink-soft); }
  .headline { font-weight: 600; font-size: 1.05em; }
  .reason {
    color: var(--ink-soft); max-inline-size: 44ch; overflow-wrap: anywhere; pointer-events: auto; cursor: pointer;
    display: -webkit-box; -webkit-line-clamp: 4; -webkit-box-orient: vertical; overflow: hidden;
  }
  .reason:empty { display: none; }
  .retry {
    pointer-events: auto; z-index: 2; font: inherit; font-weight: 600; display: inline-flex; align-items: center; gap: 0.4em;
    color: #10141a; background: #f4f6f8; border: 0; border-radius: 6px; padding: 0.35em 0.9em; margin-block-start: 0.3em;
    cursor: pointer; min-block-size: 28px;
  }
  .retry:hover { background: #fff; }
  .retry:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
  .badge {
    position: absolute; inset: 0.6em auto auto 0.6em; display: flex; align-items: center; gap: 0.4em; font-weight: 600;
    padding: 0.2em 0.6em; border-radius: 4px; background: #123a5c; color: #e6f3ff; pointer-events: none;
  }
  .overlay > .icon[data-icon='waiting'] { animation: spin 1.1s linear infinite; }
  @keyframes spin { to { rotate: 1turn; } }
  @media (prefers-reduced-motion: reduce) {
    .overlay > .icon[data-icon='waiting'] { animation-duration: 6s; animation-timing-function: steps(8); }
  }
  @container tile (max-width: 260px) { .bar { font-size: 12px; gap: 0.4em; } .overlay { --bar: 24px; } }
  @container tile (max-width: 380px) { .format { display: none; } }
  @container tile (max-width: 460px) { .volume { display: none; } }
  @container tile (max-width: 320px) { .codec { display: none; } }
  @container tile (max-width: 700px) { .quality { display: none; } }
  @container tile (max-width: 180px) { .sounds { display: none; } }
  @container tile (max-width: 150px) { .rate { display: none; } }
  @container tile (max-width: 240px) { .rate:has(~ .sounds:not([hidden])) { display: none; } }
  @container tile (max-width: 200px) {
    .label { display: none; }
    .bar { font-size: 11px; padding: 0.2em 0.4em; }
    .age { min-inline-size: 0; }
    .overlay { --bar: 20px; }
    .reason { font-size: 11px; }
  }
  @container tile (max-width: 130px) { .bar { font-size: 10px; padding: 0.1em 0.35em; } .overlay { --bar: 16px; } }
  /* In small tiles the reason stays longest: first the icon is hidden, then the headline, then the button's text. */
  @container tile (max-height: 220px) {
    .overlay { padding-block-start: 0.3em; gap: 0.25em; }
    .overlay > .icon { display: none; }
    .reason { -webkit-line-clamp: 2; }
    .retry { font-size: 12px; min-block-size: 24px; padding: 0 0.7em; margin-block-start: 0.15em; }
  }
  @container tile (max-height: 130px) {
    .overlay { padding: 0.2em 0.6em calc(var(--bar) + 2px); gap: 0.15em; }
    .headline:has(+ .reason:not(:empty)) { display: none; }
    .badge { inset: 0.3em auto auto 0.3em; font-size: 11px; }
  }
  @container tile (max-height: 100px) {
    .overlay { flex-direction: row; gap: 0.4em; padding: 2px 5px var(--bar); }
    .reason { font-size: 11px; line-height: 1.25; text-align: start; }
    .retry { flex: none; inline-size: 24px; padding: 0; margin: 0; justify-content: center; }
    .word { display: none; }
  }
  @container tile (max-height: 80px) { .headline { display: none; } }
  @container tile (max-height: 56px) {
    .reason { -webkit-line-clamp: 1; }
    .retry { inline-size: 20px; min-block-size: 20px; }
  }
  @container tile (min-width: 760px) { .why { display: inline; } }
  @container tile (min-width: 900px) { .bar { font-size: 15px; padding: 0.5em 0.9em; } .overlay { --bar: 36px; font-size: 15px; } }
`;

const WALL = `
  :host { display: block; position: relative; inline-size: 100%; block-size: 100%; aspect-ratio: 16 / 9; overflow: hidden; }
  .viewport { position: absolute; inset: 0; overflow: hidden auto; scrollbar-width: thin; overscroll-behavior: contain; }
  .viewport.fits { overflow: hidden; }
  .content { position: relative; }
  canvas { position: absolute; inset-inline-start: 0; display: block; }
  .refusal { position: absolute; inset: 0; display: grid; place-items: center; overflow: auto; pointer-events: none; }
  .refusal p {
    margin: 0.5em; padding: 0.6em 1em; max-inline-size: 52ch; box-sizing: border-box; pointer-events: auto;
    text-align: center; text-wrap: balance; overflow-wrap: anywhere; border-radius: 6px;
    color: #5c4200; background: #fff1cc; border: 1px solid #e0c270;
    color: light-dark(#5c4200, #ffd98a); background: light-dark(#fff1cc, #3b2e0c); border-color: light-dark(#e0c270, #6b5416);
  }
  :host(:fullscreen) { background: #000; }
`;

const SINGLE = `
  :host { display: block; position: relative; inline-size: 100%; aspect-ratio: 16 / 9; overflow: hidden; background: var(--ground); }
  canvas { position: absolute; inset: 0; display: block; }
  .tile { inset: 0; }
  :host(:fullscreen) { background: #000; }
`;

function sheet(css: string): CSSStyleSheet {
  const styleSheet = new CSSStyleSheet();
  styleSheet.replaceSync(css);
  return styleSheet;
}

/** Constructed style sheets, because a page's policy may forbid inline styles. */
export const wallSheets = (): CSSStyleSheet[] => [sheet(TILE), sheet(WALL)];
export const singleTileSheets = (): CSSStyleSheet[] => [sheet(TILE), sheet(SINGLE)];
