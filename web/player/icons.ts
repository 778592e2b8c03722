// Icons as inline SVG paths in a 16 × 16 view box. They need no image or font files.

const SVG = 'http://www.w3.org/2000/svg';

const PATHS = {
  live: 'M8 4.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 0 1 0-7z',
  stale:
    'M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13zm0 1.6a4.9 4.9 0 1 0 0 9.8a4.9 4.9 0 0 0 0-9.8zM7.2 4.6h1.6v3.1l2.2 1.4l-.8 1.3l-3-1.9z',
  waiting: 'M8 1.5a6.5 6.5 0 0 1 6.5 6.5h-1.7A4.8 4.8 0 0 0 8 3.2z',
  stalled: 'M8 1.6l7 12.3H1zm-.8 4.6v4h1.6v-4zm0 5v1.5h1.6v-1.5z',
  failed: 'M5 1.5h6L14.5 5v6L11 14.5H5L1.5 11V5zM7.2 4.2v4.6h1.6V4.2zm0 5.8v1.7h1.6V10z',
  pause: 'M4 3h3v10H4zM9 3h3v10H9z',
  stop: 'M3.5 3.5h9v9h-9z',
  soundOn:
    'M1.5 5.8h2.7L8 2.4v11.2L4.2 10.2H1.5zM9.8 5.3l1-1.1a5.4 5.4 0 0 1 0 7.6l-1-1.1a3.8 3.8 0 0 0 0-5.4zM12 3.1l1-1.1a8.5 8.5 0 0 1 0 12l-1-1.1a6.9 6.9 0 0 0 0-9.8z',
  soundOff:
    'M1.5 5.8h2.7L8 2.4v11.2L4.2 10.2H1.5zM9.6 6.4l1-1L12.3 7L14 5.4l1 1L13.3 8L15 9.6l-1 1L12.3 9l-1.7 1.6l-1-1L11.3 8z',
  soundWaiting: 'M1.5 5.8h2.7L8 2.4v11.2L4.2 10.2H1.5zM10 4l5 4l-5 4z',
  soundNone: 'M1.5 5.8h2.7L8 2.4v11.2L4.2 10.2H1.5zM11.2 3.5h1.8v5.4h-1.8zm0 6.8h1.8v1.8h-1.8z',
  retry: 'M8 2.5a5.5 5.5 0 0 1 4.1 1.8L13.5 3v4h-4l1.5-1.5A3.9 3.9 0 1 0 11.9 8.6h1.6A5.5 5.5 0 1 1 8 2.5z',
} as const;

export type IconName = keyof typeof PATHS;

/** Creates an icon. It is hidden from assistive technology, because the text beside it has the same meaning. */
export function createIcon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'icon');
  svg.append(document.createElementNS(SVG, 'path'));
  setIcon(svg, name);
  return svg;
}

export function setIcon(svg: SVGSVGElement, name: IconName): void {
  if (svg.dataset['icon'] === name) return;
  svg.dataset['icon'] = name;
  const path = svg.firstElementChild;
  path?.setAttribute('d', PATHS[name]);
  path?.setAttribute('fill-rule', 'evenodd');
}
