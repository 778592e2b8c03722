// The dashboard's signs as paths on a 16 × 16 field.

export const GLYPHS = {
  play: 'M4 2.6l9.2 5.4L4 13.4z',
  stop: 'M3.5 3.5h9v9h-9z',
  back: 'M9.8 2.6l1.2 1.2L6.8 8l4.2 4.2l-1.2 1.2L4.4 8z',
  sun: 'M8 4.8a3.2 3.2 0 1 1 0 6.4a3.2 3.2 0 0 1 0-6.4zM7.2 1h1.6v2.2H7.2zm0 11.8h1.6V15H7.2zM1 7.2h2.2v1.6H1zm11.8 0H15v1.6h-2.2zM2.5 3.6l1.1-1.1l1.6 1.6l-1.1 1.1zm8.3 8.3l1.1-1.1l1.6 1.6l-1.1 1.1zm2.7-8.3l-1.6 1.6l-1.1-1.1l1.6-1.6zM5.2 11.9l-1.6 1.6l-1.1-1.1l1.6-1.6z',
  moon: 'M6.3 1.8a6.3 6.3 0 1 0 7.9 7.9A5.2 5.2 0 0 1 6.3 1.8z',
  help: 'M2.5 3.5h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1zM3.4 5.2v1.5h1.5V5.2zm2.6 0v1.5h1.5V5.2zm2.6 0v1.5h1.5V5.2zm2.6 0v1.5h1.4V5.2zM3.4 7.5V9h1.5V7.5zm2.6 0V9h1.5V7.5zm2.6 0V9h1.5V7.5zm2.6 0V9h1.4V7.5zM4.9 9.7v1.2h6.2V9.7z',
  warning: 'M8 1.6l7 12.3H1zm-.8 4.6v4h1.6v-4zm0 5v1.5h1.6v-1.5z',
  close: 'M3.8 2.6L8 6.8l4.2-4.2l1.2 1.2L9.2 8l4.2 4.2l-1.2 1.2L8 9.2l-4.2 4.2l-1.2-1.2L6.8 8L2.6 3.8z',
} as const;

export type GlyphName = keyof typeof GLYPHS;
