//! Charts: axes, curves and maps as SVG that scales with its place and follows the page's colours.

use std::fmt::Write;
use std::ops::Range;

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TRANSPARENT};

use super::axis::Axis;
use super::html::{escape, printable};
use super::palette::{Colour, GRID, INK, Scale};

/// Units of the drawing per pixel of the page: plotters draws on whole units.
const UNIT: u32 = 4;

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Line,
    Dots,
    /// Filled down to the axis, with an outline of the second colour.
    Area(Colour),
}

/// Points, which may leave the chart or not be finite, in one colour.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) points: Vec<(f64, f64)>,
    pub(super) colour: Colour,
    pub(super) mark: Mark,
}

/// Colours of a map's cells.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    pub(super) columns: usize,
    pub(super) scale: Scale,
    /// `[rows, columns]` from the lower left corner; nothing is drawn where there is none.
    pub(super) levels: Vec<Option<usize>>,
}

/// A stretch of the horizontal axis with a name.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) name: String,
    pub(super) colour: Option<Colour>,
}

/// What a chart shows.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Name for readers who do not see it.
    pub(super) title: String,
    /// What is to be seen, for the same.
    pub(super) description: String,
    /// Width and height on the page at its usual size.
    pub(super) size: (u32, u32),
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) cells: Option<Cells>,
    pub(super) bands: Vec<Band>,
    pub(super) curves: Vec<Curve>,
    /// Dashed upright lines.
    pub(super) rules: Vec<(f64, Colour)>,
}

impl Chart {
    pub(super) fn new(title: &str, description: &str, size: (u32, u32), x: Axis, y: Axis) -> Self {
        Self {
            title: title.to_owned(),
            description: description.to_owned(),
            size,
            x,
            y,
            cells: None,
            bands: Vec::new(),
            curves: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The chart as an `svg` element.
    pub(super) fn svg(&self) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
        let (width, height) = (self.size.0 * UNIT, self.size.1 * UNIT);
        let mut drawing = String::new();
        let frame = self.draw(&mut drawing, (width, height))?;
        // The element of plotters has a fixed size and no name.
        let body = drawing.split_once('>').map_or("", |(_, body)| body);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            escape(&self.title),
            escape(&self.description)
        );
        if let Some(cells) = &self.cells {
            cells.write(&mut svg, frame);
        }
        // Plotters escapes names but lets pass what XML does not.
        svg.push_str(&printable(body.trim_start()));
        Ok(svg)
    }

    /// Draws everything but the cells; the pixels between which the axes lie, of x and of y.
    fn draw(
        &self,
        drawing: &mut String,
        size: (u32, u32),
    ) -> Result<Frame, DrawingAreaErrorKind<std::io::Error>> {
        let root = SVGBackend::with_string(drawing, size).into_drawing_area();
        let (x, y) = (&self.x, &self.y);
        let left = if y.is_bare() { 10 } else { 56 };
        let mut chart = ChartBuilder::on(&root)
            .margin_top(10 * UNIT)
            .margin_right(14 * UNIT)
            .set_label_area_size(LabelAreaPosition::Left, left * UNIT)
            .set_label_area_size(LabelAreaPosition::Bottom, 44 * UNIT)
            .build_cartesian_2d(x, y)?;
        let (columns, rows) = chart.plotting_area().get_pixel_range();
        let frame = Frame { columns, rows };

        for band in &self.bands {
            if let Some(colour) = band.colour {
                let corners = [(band.from, y.lower), (band.to, y.upper)];
                let area = Rectangle::new(corners, colour.rgb().filled());
                chart.draw_series([area])?;
            }
        }
        let text = ("sans-serif", 15 * UNIT).into_font().color(&INK.rgb());
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .bold_line_style(if self.cells.is_some() {
                TRANSPARENT.stroke_width(1)
            } else {
                GRID.rgb().stroke_width(UNIT)
            })
            .light_line_style(TRANSPARENT)
            .axis_style(INK.rgb().stroke_width(UNIT))
            .set_all_tick_mark_size(4 * UNIT)
            .label_style(text.clone())
            .axis_desc_style(text.clone())
            .x_desc(x.title())
            .y_desc(y.title());
        if y.is_bare() {
            mesh.disable_y_axis();
        }
        mesh.draw()?;

        for curve in &self.curves {
            for points in self.pieces(&curve.points) {
                let colour = curve.colour.rgb();
                match curve.mark {
                    Mark::Line => chart
                        .draw_series([PathElement::new(points, colour.stroke_width(2 * UNIT))])?,
                    Mark::Dots => chart.draw_series(
                        points
                            .into_iter()
                            .map(|point| Circle::new(point, 2 * UNIT, colour.filled())),
                    )?,
                    Mark::Area(outline) => {
                        let outline = outline.rgb().stroke_width(UNIT + UNIT / 2);
                        let line = PathElement::new(points.clone(), outline);
                        let ends = [points.last(), points.first()].into_iter().flatten();
                        let base: Vec<_> = ends.map(|&(x, _)| (x, y.lower)).collect();
                        let area: Vec<_> = points.into_iter().chain(base).collect();
                        chart.draw_series([Polygon::new(area, colour.filled())])?;
                        chart.draw_series([line])?
                    }
                };
            }
        }
        for &(at, colour) in self.rules.iter().filter(|(at, _)| x.holds(*at)) {
            // Drawn in pieces, so that the line is dashed for every viewer.
            let piece = |i: u32| y.lower + (y.upper - y.lower) * f64::from(i) / 40.0;
            let dashes = (0..40).step_by(2).map(|i| {
                let ends = vec![(at, piece(i)), (at, piece(i + 1))];
                PathElement::new(ends, colour.rgb().stroke_width(UNIT))
            });
            chart.draw_series(dashes)?;
        }
        let name = text.pos(Pos::new(HPos::Left, VPos::Top));
        for band in &self.bands {
            // As much of the name as there is room for, at some 7 pixels a letter.
            let share = (band.to - band.from) / (x.upper - x.lower);
            let room =
                share * f64::from(frame.columns.end - frame.columns.start) / f64::from(7 * UNIT);
            if room >= 3.0 {
                let short: String = band.name.chars().take(room as usize).collect();
                let top = y.upper - 0.02 * (y.upper - y.lower);
                let inset = 0.01 * (x.upper - x.lower);
                chart.draw_series([Text::new(short, (band.from + inset, top), name.clone())])?;
            }
        }
        root.present()?;
        Ok(frame)
    }

    /// The stretches of a curve on which it is finite and within the horizontal axis; the vertical one cuts off what leaves it.
    fn pieces(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let drawn = |(x, y): &(f64, f64)| self.x.holds(*x) && y.is_finite();
        points
            .chunk_by(|a, b| drawn(a) == drawn(b))
            .filter(|piece| drawn(&piece[0]))
            .map(<[_]>::to_vec)
            .collect()
    }
}

/// Where the axes of a chart lie, in units of the drawing.
struct Frame {
    columns: Range<i32>,
    rows: Range<i32>,
}

impl Cells {
    /// One path for each level, made of the runs of cells that have it.
    fn write(&self, svg: &mut String, frame: Frame) {
        let mut paths: Vec<String> = Vec::new();
        for (row, levels) in self.levels.chunks(self.columns).enumerate() {
            let mut column = 0;
            for run in levels.chunk_by(|a, b| a == b) {
                let length = run.len();
                if let Some(level) = run[0] {
                    if paths.len() <= level {
                        paths.resize(level + 1, String::new());
                    }
                    // Writing to a string cannot fail.
                    let _ = write!(paths[level], "M{column} {row}h{length}v1h-{length}z");
                }
                column += length;
            }
        }
        let rows = (self.levels.len() / self.columns).max(1) as f64;
        let scale = |range: &Range<i32>, n: f64| f64::from(range.end - range.start) / n;
        let _ = write!(
            svg,
            "<g transform=\"translate({} {}) scale({:.4} -{:.4})\" shape-rendering=\"crispEdges\">",
            frame.columns.start,
            frame.rows.end,
            scale(&frame.columns, self.columns as f64),
            scale(&frame.rows, rows),
        );
        for (level, path) in paths
            .iter()
            .enumerate()
            .filter(|(_, path)| !path.is_empty())
        {
            let colour = self.scale.colour(level).hex();
            let _ = write!(svg, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
        svg.push_str("</g>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::palette::{PROPOSAL, REFERENCE, REFERENCE_AREA};

    #[test]
    fn charts_are_svg_with_a_name_and_stay_within_their_frame() {
        let mut chart = Chart::new(
            "a < b & \"c\"",
            "what's to be seen",
            (300, 200),
            Axis::linear(0.0, 1.0, "x & y"),
            Axis::linear(0.0, 1.0, "<y>"),
        );
        let points = vec![
            (-5.0, 0.5),
            (0.0, 0.5),
            (0.5, f64::NAN),
            (0.7, 1e300),
            (1.0, -7.0),
        ];
        for (colour, mark) in [
            (PROPOSAL, Mark::Line),
            (PROPOSAL, Mark::Dots),
            (REFERENCE_AREA, Mark::Area(REFERENCE)),
        ] {
            chart.curves.push(Curve {
                points: points.clone(),
                colour,
                mark,
            });
        }
        chart.rules = vec![(0.5, PROPOSAL), (f64::NAN, PROPOSAL)];
        chart.cells = Some(Cells {
            columns: 3,
            scale: Scale::Density,
            levels: vec![Some(0), Some(0), None, Some(50), Some(1), None],
        });
        let svg = chart.svg().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("viewBox"), Some("0 0 1200 800"));
        assert!(!svg.contains("http"));
        let texts: Vec<_> = root.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.contains(&"a < b & \"c\"") && texts.iter().any(|t| t.trim() == "x & y"));
        let pairs = root
            .descendants()
            .filter_map(|node| node.attribute("points"));
        for pair in pairs.flat_map(str::split_whitespace) {
            let (x, y) = pair.split_once(',').unwrap();
            let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0..=1200).contains(&x) && (0..=800).contains(&y), "{pair}");
        }
        assert!(svg.contains("d=\"M0 0h2v1h-2z\"") && svg.contains("d=\"M1 1h1v1h-1z\""));
    }
}
