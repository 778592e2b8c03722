// The styles of <series-plot>. A page can set the --ocelli-* properties; light and dark follow its color-scheme.
import uplotCss from 'uplot/dist/uPlot.min.css?inline';

const STYLES = `
  :host {
    display: block; color-scheme: inherit; container: plot / inline-size;
    --ink: var(--ocelli-ink, light-dark(#161b21, #eceff3));
    --ink-soft: var(--ocelli-ink-soft, light-dark(#4b5763, #a9b4c0));
    --ground: var(--ocelli-surface, light-dark(#ffffff, #171c23));
    --line: var(--ocelli-line, light-dark(#d3d8de, #2a323c));
    --hover: var(--ocelli-hover, light-dark(#e3e7ec, #222a33));
    --focus: var(--ocelli-focus, light-dark(#2f8bff, #6cb2ff));
    --warn: light-dark(#8a5a00, #ffd98a);
    --bad: light-dark(#a3161c, #ff8a80);
    font: 13px/1.35 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
    color: var(--ink); background: var(--ground);
  }
  * { box-sizing: border-box; }
  [hidden] { display: none !important; }
  .frame { display: grid; grid-template: auto minmax(120px, 1fr) auto / minmax(0, 1fr); block-size: 100%; min-inline-size: 0; }
  .tools { display: flex; flex-wrap: wrap; gap: 4px 6px; align-items: center; padding: 6px 8px; border-block-end: 1px solid var(--line); }
  button, select, input { font: inherit; color: inherit; }
  button, select {
    min-block-size: 30px; padding: 0 9px; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); cursor: pointer;
  }
  button:hover, select:hover { background: var(--hover); }
  button[aria-pressed='true'] { background: var(--hover); border-color: var(--ink-soft); font-weight: 600; }
  :is(button, select, input):focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
  .canvas { position: relative; min-block-size: 0; min-inline-size: 0; overflow: hidden; touch-action: pan-y; }
  .canvas > .uplot { position: absolute; inset: 0; font: inherit; }
  .status {
    position: absolute; inset-block-start: 4px; inset-inline-end: 8px; z-index: 1; padding: 1px 7px; border-radius: 5px;
    pointer-events: none; color: var(--ink-soft); background: color-mix(in srgb, var(--ground) 85%, transparent); font-variant-numeric: tabular-nums;
  }
  .status:empty { display: none; }
  .status.bad { color: var(--bad); }
  .empty { position: absolute; inset: 0; display: grid; place-content: center; padding: 1em; text-align: center; color: var(--ink-soft); gap: 0.5em; overflow-wrap: anywhere; }
  .empty code { user-select: all; }
  .legend { display: flex; flex-wrap: wrap; gap: 2px 4px; margin: 0; padding: 6px 8px; list-style: none; max-block-size: 9.5em; overflow: auto; border-block-start: 1px solid var(--line); }
  .legend li { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; padding: 1px 4px 1px 2px; border-radius: 6px; max-inline-size: 100%; }
  .legend label { display: flex; align-items: center; gap: 6px; cursor: pointer; min-inline-size: 0; min-block-size: 28px; }
  .swatch { inline-size: 14px; block-size: 4px; border-radius: 2px; flex: none; }
  .dashed { mask: repeating-linear-gradient(90deg, #000 0 4px, #0000 4px 6px); }
  .dotted { mask: repeating-linear-gradient(90deg, #000 0 2px, #0000 2px 4px); }
  .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-inline-size: 22ch; }
  .name.question { white-space: normal; max-inline-size: none; }
  .off .name { color: var(--ink-soft); text-decoration: line-through; }
  .value { font-variant-numeric: tabular-nums; min-inline-size: 6ch; text-align: end; font-weight: 600; white-space: nowrap; }
  .missed, .clock, .stopped, .thinned { font-size: 0.92em; color: var(--ink-soft); }
  .missed, .clock, .stopped { color: var(--warn); }
  .quiet .value { color: var(--ink-soft); font-weight: 400; }
  .legend button { min-block-size: 26px; padding: 0 6px; border-color: transparent; color: var(--ink-soft); }
  .legend input[type='text'] { min-block-size: 26px; inline-size: 20ch; background: var(--ground); border: 1px solid var(--line); border-radius: 6px; padding: 0 6px; }
  .note { margin: 0; padding: 0 8px 6px; color: var(--warn); overflow-wrap: anywhere; }
  .fault { color: var(--bad); padding: 0 8px 6px; margin: 0; }
  .u-select { background: color-mix(in srgb, var(--focus) 25%, transparent); }
  .u-cursor-x, .u-cursor-y { border-color: var(--ink-soft) !important; }
`;

let sheets: CSSStyleSheet[] | undefined;

export function plotSheets(): CSSStyleSheet[] {
  sheets ??= [uplotCss, STYLES].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  return sheets;
}
