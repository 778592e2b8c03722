// The /plot page: all series, or those given by `?series=` (repeatable).
import { SeriesPlot } from '../plot/plot.ts';
import { seriesPermissions } from './series-rights.ts';
import { applyTheme, storedTheme } from './theme.ts';

applyTheme(storedTheme());
const parameters = new URLSearchParams(location.search);
const plot = new SeriesPlot();
plot.setAttribute('hub', location.origin);
const names = parameters.getAll('series');
if (names.length > 0) plot.names = names;
document.getElementById('plot')?.append(plot);
void seriesPermissions().then((permissions) => (plot.permissions = permissions));
