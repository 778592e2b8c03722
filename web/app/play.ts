// The /play/<app>/<room> page: one camera of any kind fills the window.
import { CameraTile, idOf } from '../player/ocelli.ts';

function decode(part: string | undefined): string {
  try {
    return decodeURIComponent(part ?? '');
  } catch {
    return part ?? '';
  }
}

const [, , app, room] = location.pathname.split('/');
const parameters = new URLSearchParams(location.search);
const token = parameters.get('token');
const codec = parameters.get('codec');
const quality = parameters.get('quality');
const tile = new CameraTile();
tile.setAttribute('camera', idOf(decode(app), decode(room)));
tile.setAttribute('stream', 'main');
tile.setAttribute('hub', location.origin);
if (codec) tile.setAttribute('codec', codec);
if (quality) tile.setAttribute('quality', quality);
if (token) tile.setAttribute('token', token);
document.title = `${decode(room)} · Ocelli`;
document.getElementById('play')?.append(tile);

addEventListener('keydown', (event) => {
  if (event.target === document.body) tile.handleKey(event);
});
