use std::path::Path;

use super::*;

fn read(text: &[u8], format: FileFormat) -> Vec<Result<Row, Malformed>> {
    Rows::new(text, format).map(|row| row.unwrap()).collect()
}

fn row(line: u64, key: &str, value: &str) -> Result<Row, Malformed> {
    let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
    Ok(Row { line, key, value })
}

/// Lines and problems of the malformed rows.
fn problems(text: &[u8], format: FileFormat) -> Vec<(u64, String)> {
    let malformed = read(text, format).into_iter().filter_map(Result::err);
    malformed.map(|Malformed { line, problem }| (line, problem)).collect()
}

#[test]
fn the_name_says_the_format() {
    let rows = [
        ("a.csv", Some(FileFormat::Csv)),
        ("a.b/c.TSV", Some(FileFormat::Tsv)),
        ("a.jsonl", Some(FileFormat::Jsonl)),
        ("a.ndjson", Some(FileFormat::Jsonl)),
        ("a.json", None),
        ("csv", None),
    ];
    for (path, format) in rows {
        assert_eq!(FileFormat::of_path(Path::new(path)), format, "{path}");
    }
}

#[test]
fn csv_with_quotes_commas_and_newlines() {
    let text = b"key,value\r\na,1\r\n\"b,c\",\"say \"\"hi\"\"\nthere\"\r\n\r\nd,\n";
    let expected = vec![row(2, "a", "1"), row(3, "b,c", "say \"hi\"\nthere"), row(6, "d", "")];
    assert_eq!(read(text, FileFormat::Csv), expected);
}

#[test]
fn tsv_takes_quotes_as_they_are() {
    let text = b"key\tvalue\nEurope/Berlin\t{\"offset\":\"1\"}\nx\t\"open\n";
    let expected = vec![row(2, "Europe/Berlin", "{\"offset\":\"1\"}"), row(3, "x", "\"open")];
    assert_eq!(read(text, FileFormat::Tsv), expected);
}

#[test]
fn separated_values_may_be_any_bytes() {
    let rows = read(b"key\tvalue\n\xff\t\xfe\n", FileFormat::Tsv);
    let expected =
        Row { line: 2, key: Bytes::from_static(b"\xff"), value: Bytes::from_static(b"\xfe") };
    assert_eq!(rows, vec![Ok(expected)]);
}

#[test]
fn json_lines() {
    let text = b"\xef\xbb\xbf{\"key\":\"a\",\"value\":\"x\"}\n\n{\"value\":{\"b\":1,\"a\":[2]},\"key\":\"c\"}";
    let expected = vec![row(1, "a", "x"), row(3, "c", "{\"a\":[2],\"b\":1}")];
    assert_eq!(read(text, FileFormat::Jsonl), expected);
}

#[test]
fn malformed_json_lines_have_their_numbers() {
    let text = b"{\"key\":\"a\"}\nnonsense\n{\"key\":\"a\",\"value\":1}\n{\"key\":\"a\",\"value\":\"x\",\"more\":1}\n\
        {\"key\":\"b\",\"value\":\"y\"}\n\xff\n";
    let found = problems(text, FileFormat::Jsonl);
    let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 6]);
    assert_eq!(found[0].1, "missing field `value` (column 11)");
    assert_eq!(found[2].1, "`value` must be a string or an object");
    assert!(found[3].1.starts_with("unknown field `more`"), "{}", found[3].1);
}

#[test]
fn malformed_separated_rows_have_their_numbers() {
    let text = b"key,value\na,1\nb\nc,1,2\n\nd,4\n";
    let expected = vec![
        (3, "1 field(s), expected 2: key and value".to_owned()),
        (4, "3 field(s), expected 2: key and value".to_owned()),
    ];
    assert_eq!(problems(text, FileFormat::Csv), expected);
    assert_eq!(read(text, FileFormat::Csv).len(), 4);
}

#[test]
fn the_header_is_demanded() {
    let rows: [(&[u8], &str); 3] = [
        (b"", "the file is empty, expected a header and rows"),
        (b"a,1\nb,2\n", "the header is `a,1`, expected `key,value`"),
        (b"value,key\n", "the header is `value,key`, expected `key,value`"),
    ];
    for (text, problem) in rows {
        assert_eq!(problems(text, FileFormat::Csv), vec![(1, problem.to_owned())]);
        assert_eq!(read(text, FileFormat::Csv).len(), 1, "nothing is read behind it");
    }
    let found = problems(b"key,value\n", FileFormat::Tsv);
    assert_eq!(found, vec![(1, "the header is `key,value`, expected `key\\tvalue`".to_owned())]);
}

#[test]
fn an_open_quote_is_found() {
    let text = b"key,value\na,1\nb,\"2\nc,3\nd,4\n";
    let found = problems(text, FileFormat::Csv);
    assert_eq!(found, vec![(3, "a quote is opened and never closed".to_owned())]);
}

#[test]
fn quotes_are_not_guessed_at() {
    let text = b"key,value\na,x\"y\"\nb,\"x\"y\nc,\"x\"\n\"d\",\"\"\"\"\n";
    let found = problems(text, FileFormat::Csv);
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    assert!(found[0].1.starts_with("a quote inside a field"), "{}", found[0].1);
    assert!(found[1].1.starts_with("text behind a closing quote"), "{}", found[1].1);
    assert_eq!(read(text, FileFormat::Csv)[2..], [row(4, "c", "x"), row(5, "d", "\"")]);
}

#[test]
fn a_carriage_return_ends_a_line_only_before_its_newline() {
    let text = b"key,value\r\na,\"1\r\n2\r\"\r\nb\rc,\rd\r\r\n";
    let expected = vec![row(2, "a", "1\r\n2\r"), row(4, "b\rc", "\rd\r")];
    assert_eq!(read(text, FileFormat::Csv), expected);
}

#[test]
fn endless_rows_are_refused_without_being_kept() {
    let mut text = b"key,value\na,\"".to_vec();
    text.resize(2 * ROW_TEXT_BYTES_MAX, b'x');
    let found = problems(&text, FileFormat::Csv);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 2);
    assert!(found[0].1.contains("longer than"), "{}", found[0].1);
    let mut text = vec![b'x'; 2 * ROW_TEXT_BYTES_MAX];
    text.extend_from_slice(b"\n{\"key\":\"a\",\"value\":\"x\"}\n");
    let rows = read(&text, FileFormat::Jsonl);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].as_ref().is_err_and(|found| found.line == 1));
    assert_eq!(rows[1], row(2, "a", "x"));
}

#[test]
fn a_survey_checks_sizes_and_lists_no_more_than_the_first() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let mut text = format!("key,value\nok,1\n,1\n{long},1\nk,{}\n", "v".repeat(100));
    let found = survey(Rows::new(text.as_bytes(), FileFormat::Csv), 100).unwrap();
    assert_eq!((found.rows, found.malformed), (1, 3));
    let lines: Vec<u64> = found.listed.iter().map(|malformed| malformed.line).collect();
    assert_eq!(lines, [3, 4, 5]);
    text.push_str(&"bad\n".repeat(50));
    let found = survey(Rows::new(text.as_bytes(), FileFormat::Csv), 100).unwrap();
    assert_eq!((found.malformed, found.listed.len()), (53, 20));
}
