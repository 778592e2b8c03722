// Ocelli in any page:
//   <script type="module" src="http://hub:8080/ocelli.js"></script>
//   <camera-wall></camera-wall>  or  <camera-tile camera="door"></camera-tile>
import { CameraTile } from './camera-tile.ts';
import { CameraWall } from './camera-wall.ts';

// A page may load this script twice, but a name can be defined only once.
if (!customElements.get('camera-wall')) customElements.define('camera-wall', CameraWall);
if (!customElements.get('camera-tile')) customElements.define('camera-tile', CameraTile);

export { CameraTile, CameraWall };
export type { Link } from '../client/connection.ts';
export type { Camera, CameraState } from '../client/events.ts';
export { idOf } from '../client/hub-address.ts';
