// Formats ages and frame rates, and decides when a picture is stale.

/** Formats ms as "45 ms", "1.2 s", "3 min", "2 h". Negative ages, from small clock errors, are shown as 0. */
export function formatAge(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 59.5) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  return hours < 47.5 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} d`;
}

/** Whether a picture is too old for the camera's typical interval. If the interval is unknown (0), the limit is 3 s. */
export function isStale(ageMs: number, typicalIntervalMs: number): boolean {
  return ageMs > Math.max(3_000, 5 * typicalIntervalMs);
}

/** Formats a frame rate as "8 fps", "0.2 fps", "25 fps"; empty for 0. */
export function formatRate(fps: number): string {
  if (fps <= 0) return '';
  return fps < 1.95 ? `${fps.toFixed(1)} fps` : `${Math.round(fps)} fps`;
}
