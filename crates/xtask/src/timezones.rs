//! `cargo xtask timezones SOURCE_DIR`: builds `data/time-zones.tsv`, the sample data set of the quick start.
//!
//! 1. `tzdata.zi` names all zones and links, and each zone's eras; the last era is the current one.
//! 2. `zone1970.tab`, and `zone.tab` where that is silent, add countries, coordinates and a comment.
//! 3. Each zone becomes `name<TAB>json`, each link `name<TAB>{"link_to":…}`; records are ordered by name.
//!
//! The output depends on the source files alone. Source: the IANA time zone database, public domain; the compact
//! notation of `tzdata.zi` is described in zic(8).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::say;

#[cfg(test)]
mod tests;

/// Where the records go.
const TARGET: &str = "data/time-zones.tsv";

/// The three files of the database that are read.
#[derive(Clone, Copy, Debug)]
struct Database<'a> {
    zi: &'a str,
    zone1970: &'a str,
    zone: &'a str,
}

/// The command: reads `source`, writes the data set below `root`.
pub(crate) fn run(root: &Path, source: &Path) -> ExitCode {
    match rebuild(root, source) {
        Ok(count) => {
            say(&format!("{TARGET}: {count} records"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("timezones: {}: {error}", source.display());
            ExitCode::FAILURE
        }
    }
}

fn rebuild(root: &Path, source: &Path) -> io::Result<usize> {
    let read = |name: &str| fs::read_to_string(source.join(name));
    let (zi, zone1970, zone) = (read("tzdata.zi")?, read("zone1970.tab")?, read("zone.tab")?);
    let records = records(Database { zi: &zi, zone1970: &zone1970, zone: &zone });
    let lines = records.iter().map(|(key, value)| format!("{key}\t{value}\n"));
    fs::write(root.join(TARGET), format!("key\tvalue\n{}", lines.collect::<String>()))?;
    Ok(records.len())
}

/// All records, ordered by key.
fn records(database: Database<'_>) -> BTreeMap<&str, String> {
    let places = places(database);
    let rules = current_rules(database.zi);
    let mut records = BTreeMap::new();
    for (name, era) in current_eras(database.zi) {
        records.insert(name, zone_json(places.get(name), era, &rules));
    }
    for line in database.zi.lines().filter(|line| line.starts_with("L ")) {
        if let [_, target, name] = fields(line).as_slice() {
            records.insert(name, link_json(target, places.get(name)));
        }
    }
    records
}

/// The last era of each zone, as `offset rules format`.
fn current_eras(zi: &str) -> BTreeMap<&str, [&str; 3]> {
    let mut eras = BTreeMap::new();
    let mut zone = None;
    for line in zi.lines() {
        let fields = fields(line);
        match fields.as_slice() {
            ["Z", name, offset, rules, format, ..] => {
                zone = Some(*name);
                eras.insert(*name, [*offset, *rules, *format]);
            }
            ["R" | "L", ..] | ["#", ..] | [] => zone = None,
            [offset, rules, format, ..] => {
                if let Some(name) = zone {
                    eras.insert(name, [*offset, *rules, *format]);
                }
            }
            _ => {}
        }
    }
    eras
}

/// The lines of each rule set that hold until further notice (`ma`), without the rule's name.
fn current_rules(zi: &str) -> BTreeMap<&str, Vec<String>> {
    let mut rules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in zi.lines() {
        if let ["R", name, from, "ma", rest @ ..] = fields(line).as_slice() {
            rules.entry(name).or_default().push(format!("{from} ma {}", rest.join(" ")));
        }
    }
    rules
}

/// What the tables say about a zone.
#[derive(Debug)]
struct Place<'a> {
    countries: &'a str,
    coordinates: &'a str,
    comment: Option<&'a str>,
}

/// Every zone of the tables; the newer table wins.
fn places(database: Database<'_>) -> BTreeMap<&str, Place<'_>> {
    let mut places = BTreeMap::new();
    for line in database.zone.lines().chain(database.zone1970.lines()) {
        let mut columns = line.split('\t');
        if line.starts_with('#') {
            continue;
        }
        if let (Some(countries), Some(coordinates), Some(name)) =
            (columns.next(), columns.next(), columns.next())
        {
            places.insert(name, Place { countries, coordinates, comment: columns.next() });
        }
    }
    places
}

fn fields(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn zone_json(
    place: Option<&Place<'_>>,
    era: [&str; 3],
    rules: &BTreeMap<&str, Vec<String>>,
) -> String {
    let [offset, rule, format] = era;
    let mut members = place_members(place);
    members.push(format!("\"offset\":{}", quoted(offset)));
    members.push(format!("\"rules\":{}", quoted(rule)));
    members.push(format!("\"format\":{}", quoted(format)));
    if let Some(lines) = rules.get(rule) {
        members.push(format!("\"rule_lines\":{}", array(lines.iter().map(String::as_str))));
    }
    format!("{{{}}}", members.join(","))
}

fn link_json(target: &str, place: Option<&Place<'_>>) -> String {
    let mut members = vec![format!("\"link_to\":{}", quoted(target))];
    members.extend(place_members(place));
    format!("{{{}}}", members.join(","))
}

fn place_members(place: Option<&Place<'_>>) -> Vec<String> {
    let Some(place) = place else {
        return Vec::new();
    };
    let mut members = vec![
        format!("\"countries\":{}", array(place.countries.split(','))),
        format!("\"coordinates\":{}", quoted(place.coordinates)),
    ];
    members.extend(place.comment.map(|comment| format!("\"comment\":{}", quoted(comment))));
    members
}

fn array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(","))
}

/// `text` as a JSON string. The database has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
