//! `hdr`: the percentiles of an interval log or of a percentile distribution, whoever wrote it.

use std::fs;

use serde_json::{Map, Value, json};

use super::args::{Format, HdrArgs};
use super::show::QUANTILES;
use crate::console::{self, data, table};
use crate::error::Error;
use crate::report::{parse_hgrm, parse_hlog};
use crate::units::{grouped, millis};

/// Prints a file's percentiles.
///
/// # Errors
/// [`Error::File`] if it is neither of the two formats.
pub(super) fn hdr(args: &HdrArgs) -> Result<(), Error> {
    let bytes = fs::read(&args.file).map_err(|error| Error::file(&args.file, error))?;
    let is_distribution = args.file.extension().is_some_and(|extension| extension == "hgrm");
    if is_distribution { distribution(args, &bytes) } else { log(args, &bytes) }
}

/// An interval log; its unit is taken for nanoseconds.
fn log(args: &HdrArgs, bytes: &[u8]) -> Result<(), Error> {
    let sums = parse_hlog(bytes).map_err(|problem| Error::file(&args.file, problem))?;
    if args.output == Format::Json {
        let tags = sums.iter().map(|(tag, histo)| {
            let quantiles: Map<String, Value> = QUANTILES
                .iter()
                .map(|(name, at)| ((*name).to_owned(), (histo.at(*at) as f64 / 1e6).into()))
                .collect();
            (tag.clone(), json!({ "count": histo.len(), "ms": quantiles }))
        });
        return console::json(&Value::Object(tags.collect()));
    }
    let mut header = vec!["tag", "count"];
    header.extend(QUANTILES.iter().map(|(name, _)| *name));
    header.push("ms");
    let rows: Vec<Vec<String>> = sums
        .iter()
        .map(|(tag, histo)| {
            let mut row = vec![tag.clone(), grouped(histo.len())];
            row.extend(QUANTILES.iter().map(|(_, at)| millis(histo.at(*at))));
            row
        })
        .collect();
    data(&table(1, &header, &rows))
}

/// A percentile distribution, in the file's own unit.
fn distribution(args: &HdrArgs, bytes: &[u8]) -> Result<(), Error> {
    let text = String::from_utf8_lossy(bytes);
    let (rows, count) = parse_hgrm(&text).map_err(|problem| Error::file(&args.file, problem))?;
    // A distribution has only some quantiles: the first that is not below stands for the one that was asked for.
    let at = |quantile: f64| {
        let found = rows.iter().find(|(_, at)| *at >= quantile).or(rows.last());
        found.map_or(0.0, |(value, _)| *value)
    };
    if args.output == Format::Json {
        let quantiles: Map<String, Value> =
            QUANTILES.iter().map(|(name, q)| ((*name).to_owned(), at(*q).into())).collect();
        return console::json(&json!({ "count": count, "values": quantiles }));
    }
    let mut header = vec!["count"];
    header.extend(QUANTILES.iter().map(|(name, _)| *name));
    let mut row = vec![grouped(count)];
    row.extend(QUANTILES.iter().map(|(_, quantile)| format!("{:.3}", at(*quantile))));
    data(&table(0, &header, &[row]))
}
