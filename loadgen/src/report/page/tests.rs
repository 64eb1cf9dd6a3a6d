//! The page holds its data, fetches nothing, and cannot be broken out of.

use super::render;
use crate::report::hlog::tests::report;
use crate::report::{Event, LinkTime};

#[test]
fn a_page_is_one_file_with_its_data() {
    let page = render(&report()).unwrap();
    for place in ["/*DATA*/", "/*STYLE*/", "/*SCRIPT*/"] {
        assert!(!page.contains(place), "{place} is filled");
    }
    for fetch in ["http://", "https://", "src=", "<link", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(fetch), "{fetch}");
    }
    assert!(page.contains(r#""kind":"run""#));
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn hostile_texts_stay_data() {
    let mut report = report();
    let hostile = "</script><script>alert(1)</script><!-- /*STYLE*/";
    report.events.push(Event {
        command: hostile.to_owned(),
        due: 1.0,
        began: 1.0,
        ended: 1.5,
        exit_code: None,
        output: hostile.to_owned(),
    });
    report.cluster = Some(crate::report::Cluster {
        links: vec![LinkTime {
            from: hostile.to_owned(),
            to: "us".to_owned(),
            milliseconds: 1.0,
            pairs: 1,
        }],
        ..Default::default()
    });
    let page = render(&report).unwrap();
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script>").count(), 2, "one for the data, one for the program");
}
