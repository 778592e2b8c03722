// Series in any page:
//   <script type="module" src="http://hub:8080/plot.js"></script>
//   <series-plot series="temp" style="height: 300px"></series-plot>
import { SeriesPlot } from './series-plot.ts';

// A page may load this script twice, but a name can be defined only once.
if (!customElements.get('series-plot')) customElements.define('series-plot', SeriesPlot);

export { SeriesPlot };
export type { SeriesPermissions } from './legend.ts';
