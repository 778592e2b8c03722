//! The plot: CPU per delivered frame, with one group of bars per scenario.

use std::fmt::Write;

const LEFT: f64 = 170.0;
const WIDTH: f64 = 860.0;
const BAR: f64 = 18.0;
const GAP: f64 = 34.0;
const COLOURS: [&str; 5] = ["#8a8f98", "#2f6fde", "#7b4fd0", "#1f9d63", "#d9822b"];

/// The bars of one scenario: label and µs.
pub struct Group {
    pub title: String,
    pub bars: Vec<(String, f64)>,
}

/// Draws the groups as SVG. Returns `None` if there is nothing to draw.
pub fn svg(groups: &[Group]) -> Option<String> {
    let most = groups.iter().flat_map(|group| &group.bars);
    let most = most.map(|(_, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let scale = (WIDTH - LEFT - 70.0) / most;
    let mut body = String::new();
    let mut y = 40.0;
    for group in groups {
        let _ = writeln!(
            body,
            r#"<text x="8" y="{:.0}" font-weight="bold">{}</text>"#,
            y + 13.0,
            group.title
        );
        y += BAR + 6.0;
        for (at, (name, value)) in group.bars.iter().enumerate() {
            let text = y + BAR - 5.0;
            let length = value * scale;
            let colour = COLOURS[at % COLOURS.len()];
            let _ = writeln!(
                body,
                r#"<text x="{:.0}" y="{text:.0}" text-anchor="end">{name}</text><rect x="{LEFT}" y="{y:.0}" width="{length:.1}" height="{}" fill="{colour}"/><text x="{:.1}" y="{text:.0}">{value:.1}</text>"#,
                LEFT - 8.0,
                BAR - 3.0,
                LEFT + length + 6.0
            );
            y += BAR;
        }
        y += GAP - BAR;
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0}" viewBox="0 0 {WIDTH} {y:.0}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="20" font-size="14">CPU of the serving process per delivered frame, µs; shorter is better</text>
{body}</svg>
"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_lengths_are_proportional_to_the_values() {
        let group = Group {
            title: "one".into(),
            bars: vec![("floor".into(), 2.0), ("hub".into(), 4.0)],
        };
        let drawn = svg(&[group]).expect("there are bars");
        assert!(drawn.contains(r#"width="310.0" height="15""#), "{drawn}");
        assert!(drawn.contains(r#"width="620.0" height="15""#), "{drawn}");
        assert!(svg(&[]).is_none());
    }
}
