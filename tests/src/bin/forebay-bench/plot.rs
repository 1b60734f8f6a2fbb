//! A plot for a slide: horizontal bars, in groups, as SVG.

use std::fmt::Write;

use crate::results::Results;

/// Groups of bars; every group has a bar for each series.
pub struct Plot {
    pub title: String,
    pub subtitle: String,
    /// Of all values.
    pub unit: String,
    /// What the colours mean; a single one is not shown.
    pub series: Vec<String>,
    pub groups: Vec<Group>,
    /// By which it can be drawn again.
    pub command: String,
}

/// Bars that belong together.
pub struct Group {
    pub label: String,
    pub bars: Vec<Bar>,
}

impl Group {
    /// Whether it is a writer's, beside others'.
    fn is_ours(&self) -> bool {
        self.label.starts_with("forebay")
    }
}

/// A bar, and what stands behind its value.
pub struct Bar {
    pub value: f64,
    pub note: String,
}

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 32.0;
/// Where bars begin.
const LEFT: f64 = 190.0;
/// How long the longest bar is; its value stands behind it.
const LONGEST: f64 = 500.0;
const TOP: f64 = 104.0;
/// How far below the last bar the command stands.
const FOOT: f64 = 36.0;
const BAR: f64 = 26.0;
const GAP: f64 = 16.0;

/// Distinct also for the colour-blind, and in print.
const COLOURS: &[&str] = &["#0072b2", "#e69f00", "#009e73", "#cc79a7"];
/// Of the others, where bars are those of systems.
const GREY: &str = "#9aa5b1";

const STYLE: &str = "text { font-family: Helvetica, Arial, sans-serif; fill: #1f2933 } \
                     .title { font-size: 26px; font-weight: bold } \
                     .small { font-size: 15px; fill: #52606d } .label { font-size: 17px } \
                     .foot { font-family: monospace; font-size: 12px; fill: #7b8794 }";

impl Plot {
    /// The speeds of the systems in a scenario.
    pub fn of_results(results: &Results, description: &str, unit: &str) -> Self {
        let group = |label: &str, value, note| Group {
            label: label.to_owned(),
            bars: vec![Bar { value, note }],
        };
        let groups = results.measurements.iter().map(|measurement| {
            let note = format!("{} MiB RSS", number(measurement.peak_rss_mib.round()));
            group(&measurement.system.name(), measurement.rows_per_second, note)
        });
        Self {
            title: format!("{}: {unit} per second", results.scenario),
            subtitle: description.to_owned(),
            unit: format!("{unit}/s"),
            series: vec![String::new()],
            groups: groups.collect(),
            command: String::new(),
        }
    }

    /// As an SVG document.
    pub fn svg(&self) -> String {
        let bars = self.groups.iter().flat_map(|group| &group.bars);
        let most = bars.map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        let mut body = String::new();
        let mut y = TOP;
        for group in &self.groups {
            let height = BAR * group.bars.len() as f64;
            text(&mut body, LEFT - 12.0, y + height / 2.0 + 6.0, "label", "end", &group.label);
            for (place, bar) in group.bars.iter().enumerate() {
                let width = LONGEST * bar.value / most;
                let colour = self.colour(group, place);
                let height = BAR - 3.0;
                // Writing to a string does not fail.
                let _ = writeln!(
                    body,
                    r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{height}" rx="2" fill="{colour}"/>"#
                );
                let value = format!("{} {}", number(bar.value), self.unit);
                let words =
                    if bar.note.is_empty() { value } else { format!("{value}, {}", bar.note) };
                text(&mut body, LEFT + width + 8.0, y + 17.0, "small", "start", &words);
                y += BAR;
            }
            y += GAP;
        }
        text(&mut body, MARGIN, y + FOOT - GAP, "foot", "start", &self.command);
        let height = y + FOOT - GAP + MARGIN / 2.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\">\n<style>{STYLE}</style>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}{body}</svg>\n",
            self.head()
        )
    }

    /// Title, subtitle, and what the colours mean.
    fn head(&self) -> String {
        let mut head = String::new();
        text(&mut head, MARGIN, 44.0, "title", "start", &self.title);
        text(&mut head, MARGIN, 72.0, "small", "start", &self.subtitle);
        if self.series.len() > 1 {
            let mut x = WIDTH - MARGIN - 110.0 * self.series.len() as f64;
            for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
                let _ = writeln!(
                    head,
                    r#"<rect x="{x}" y="60" width="14" height="14" fill="{colour}"/>"#
                );
                text(&mut head, x + 20.0, 72.0, "small", "start", series);
                x += 110.0;
            }
        }
        head
    }

    fn colour(&self, group: &Group, place: usize) -> &'static str {
        if self.series.len() > 1 {
            COLOURS[place % COLOURS.len()]
        } else if self.groups.iter().any(Group::is_ours) && !group.is_ours() {
            GREY
        } else {
            COLOURS[0]
        }
    }
}

fn text(into: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        into,
        r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{words}</text>"#
    );
}

/// With commas between thousands, and with a decimal if it is small and not whole.
pub fn number(value: f64) -> String {
    if value < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Bar, Group, Plot, number};

    #[test]
    fn numbers_are_readable() {
        let numbers = [0.0, 9.96, 20.0, 999.6, 1_000.0, 1_234_567.0].map(number);
        assert_eq!(numbers, ["0", "10.0", "20", "1,000", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_longest_bar_is_the_greatest_value() {
        let bar = |value| Bar { value, note: String::new() };
        let group = |label: &str, value| Group { label: label.to_owned(), bars: vec![bar(value)] };
        let plot = Plot {
            title: "a < b & c".to_owned(),
            subtitle: String::new(),
            unit: "rows/s".to_owned(),
            series: vec![String::new()],
            groups: vec![group("copy", 50.0), group("forebay-1", 200.0)],
            command: "make bench SCENARIOS=a".to_owned(),
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains(">make bench SCENARIOS=a<"));
        assert!(svg.contains(r##"width="125.0" height="23" rx="2" fill="#9aa5b1""##), "{svg}");
        assert!(svg.contains(r##"width="500.0" height="23" rx="2" fill="#0072b2""##), "{svg}");
    }
}
