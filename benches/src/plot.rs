//! Ratios as a picture.

use std::path::Path;

use harness::Result;
use plotters::prelude::*;

use crate::{figures::Spread, page::Report};

/// Pixels.
const WIDTH: u32 = 900;
const HEAD: u32 = 40;
const ROW: u32 = 18;
const NAMES: u32 = 430;

/// The picture ends here; what goes further is cut, and said in numbers.
const MOST: f64 = 6.0;

/// Draws the median and the spread of each figure's ratio to the base.
pub fn ratios(file: &Path, report: &Report) -> Result<()> {
    let rows: Vec<_> = rows(report).collect();
    let count = u32::try_from(rows.len())?;
    let size = (WIDTH, HEAD * 2 + ROW * count);
    let area = SVGBackend::new(file, size).into_drawing_area();
    area.fill(&WHITE)?;
    let title = "Ratio to the first line of each figure (dot: median; line: least to most)";
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 15))
        .x_label_area_size(HEAD / 2)
        .y_label_area_size(NAMES)
        .margin(10)
        .build_cartesian_2d(0.0..MOST, (0..count).into_segmented())?;
    let name = |at: &SegmentValue<u32>| match at {
        SegmentValue::CenterOf(row) => {
            let row = rows.get(*row as usize);
            row.map_or_else(String::new, |(name, _)| name.clone())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(rows.len())
        .y_label_formatter(&name)
        .draw()?;
    for (row, (_, ratio)) in (0..).zip(&rows) {
        let at = |x: f64| (x.min(MOST), SegmentValue::CenterOf(row));
        chart.draw_series([PathElement::new(
            [at(ratio.least), at(ratio.most)],
            BLUE.stroke_width(2),
        )])?;
        chart.draw_series([Circle::new(at(ratio.median), 4, BLUE.filled())])?;
    }
    let one = [SegmentValue::Exact(0), SegmentValue::Exact(count)].map(|row| (1.0, row));
    chart.draw_series([PathElement::new(one, BLACK)])?;
    area.present()?;
    Ok(())
}

/// From the last to the first, since the axis goes up.
fn rows(report: &Report) -> impl Iterator<Item = (String, Spread)> {
    report.figures.0.iter().rev().flat_map(|figure| {
        figure.sides.keys().rev().filter_map(|side| {
            let (scenario, name) = (&figure.scenario, &figure.name);
            let ratio = figure.ratio(side)?;
            Some((format!("{scenario}: {name} ({side})"), ratio))
        })
    })
}
